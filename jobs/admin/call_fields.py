"""The form of a call: a field for each of a task's parameters, by its annotation."""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from ..define.task import Task
from ..errors import InvalidArguments
from ..visible import visible, visible_json

#: An empty field: the parameter is not given.
LEFT_OUT = object()
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class JsonField(forms.CharField):
    """A JSON value of a kind; nothing is given where it is empty."""

    def __init__(self, kind: type | None = None, **options: Any) -> None:
        self.kind = kind
        attributes = {"rows": 4, "spellcheck": "false", "class": "vLargeTextField job-json job-short"}
        super().__init__(widget=forms.Textarea(attrs=attributes), **options)

    def prepare_value(self, value: Any) -> Any:
        """What was typed, or a value as text."""
        return value if value is None or isinstance(value, Typed) else visible_json(_as_json(value))

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed is shown again as it was."""
        return None if data is None else Typed(data)

    def to_python(self, value: Any) -> Any:
        """Raise in words what is no such JSON."""
        if not (value or "").strip():
            return None if self.required else LEFT_OUT
        try:
            found = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ValidationError(_("This is not JSON: %(error)s.") % {"error": error}) from None
        if self.kind is not None and not isinstance(found, self.kind):
            raise ValidationError(_("This is no JSON list.") if self.kind is list else _("This is no JSON object."))
        return found

    def validate(self, value: Any) -> None:
        """`null` is a value, too."""

    def clean(self, value: Any) -> Any:
        """An empty field is refused where the parameter must be given."""
        if self.required and not (value or "").strip():
            raise ValidationError(self.error_messages["required"], code="required")
        return self.to_python(value)


class Typed(str):
    """What somebody typed."""

    __slots__ = ()


class OneOfField(forms.ChoiceField):
    """One of the values of an enumeration, a `Literal` or a bool."""

    def __init__(self, values: Mapping[str, Any], **options: Any) -> None:
        self.values = values
        first = [("", "---------")] if not options["required"] or len(values) != 1 else []
        super().__init__(choices=[*first, *((key, key) for key in values)], **options)

    def prepare_value(self, value: Any) -> Any:
        """The key of a value, also as JSON has it."""
        if isinstance(value, str) and value in self.values:
            return value
        fits = [key for key, one in self.values.items() if (one.value if isinstance(one, Enum) else one) == value]
        return fits[0] if fits and value is not None else value

    def clean(self, value: Any) -> Any:
        """The value."""
        key = super().clean(value)
        return self.values[key] if key else None


class MomentField(forms.DateTimeField):
    """A moment, in the reader's time zone."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S")

    def prepare_value(self, value: Any) -> Any:
        """Also a moment as JSON has it."""
        try:
            found = datetime.fromisoformat(value) if isinstance(value, str) else value
            value = localtime(found).replace(tzinfo=None) if isinstance(found, datetime) and found.tzinfo else found
        except (ValueError, OverflowError):
            pass
        return super().prepare_value(value)


class CallForm(forms.Form):
    """A field for each parameter of the task; `args` and `kwargs` are the call."""

    def __init__(self, task: Task, data: QueryDict | None = None, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, prefix="argument", initial=dict(initial or {}))
        self.task = task
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self._may_be_none: set[str] = set()
        self._defaults: dict[str, Any] = {}
        annotations = task.signature.annotations()
        for parameter in task.signature.signature.parameters.values():
            self.fields[parameter.name] = self._field(parameter, annotations[parameter.name])

    def clean(self) -> dict[str, Any]:
        """Raise what the task would refuse, at the field that it is about."""
        given: dict[str, Any] = {}
        for name, parameter in self.task.signature.signature.parameters.items():
            if name not in self.cleaned_data:
                continue
            value = self.cleaned_data[name]
            # in JSON null is a value, and nothing is typed where none is given
            if value is LEFT_OUT or (value in (None, "") and not isinstance(self.fields[name], JsonField)):
                if parameter.default is not parameter.empty or parameter.kind in _VARIABLE:
                    continue
                value = None if name in self._may_be_none else value
            if parameter.kind is parameter.VAR_POSITIONAL and value:
                # what stands before others by its place is given, too
                given |= {one: default for one, default in self._defaults.items() if one not in given}
            given[name] = tuple(value) if parameter.kind is parameter.VAR_POSITIONAL else value
            try:
                self.task.signature.written({name: given[name]})
            except InvalidArguments as error:
                self.add_error(name, str(error).removeprefix(f"{self.task.name}: "))
        if not self.errors:
            in_order = {name: given[name] for name in self.task.signature.signature.parameters if name in given}
            bound = inspect.BoundArguments(self.task.signature.signature, in_order)
            self.args, self.kwargs = bound.args, bound.kwargs
        return self.cleaned_data

    def _field(self, parameter: inspect.Parameter, annotation: Any) -> forms.Field:
        name = parameter.name
        plain, is_optional = _plain(annotation)
        if is_optional:
            self._may_be_none.add(name)
        has_default = parameter.default is not parameter.empty
        if has_default and parameter.kind is not parameter.KEYWORD_ONLY:
            self._defaults[name] = parameter.default
        is_left_out = has_default or is_optional or parameter.kind in _VARIABLE
        help_text = visible(inspect.formatannotation(annotation)) if annotation is not Any else ""
        if has_default and name not in self.task.personal:
            default = visible(repr(parameter.default))[:200]
            help_text = "; ".join(filter(None, [help_text, _("empty: %(default)s") % {"default": default}]))
        if name in self.task.personal:
            help_text = "; ".join(filter(None, [help_text, _("personal: nobody sees it afterwards")]))
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**" if parameter.kind in _VARIABLE else ""
        options = {"label": f"{stars}{name}", "required": not is_left_out, "help_text": help_text}
        if parameter.kind in _VARIABLE:
            return JsonField(list if parameter.kind is parameter.VAR_POSITIONAL else dict, **options)
        return field_for(plain, **options)


def field_for(annotation: Any, **options: Any) -> forms.Field:
    """The field for values of this annotation: JSON where there is no better one."""
    if typing.get_origin(annotation) is Literal:
        return OneOfField({str(value): value for value in typing.get_args(annotation)}, **options)
    if not isinstance(annotation, type):
        return JsonField(list if typing.get_origin(annotation) in (list, tuple, set, frozenset) else None, **options)
    if issubclass(annotation, Enum):
        return OneOfField({one.name: one for one in annotation}, **options)
    if annotation is bool:
        return OneOfField({_("yes"): True, _("no"): False}, **options)
    if annotation is str:
        # an empty text is one
        text = forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField job-short"})
        return forms.CharField(strip=False, widget=text, **{**options, "required": False})
    fields: dict[type, type[forms.Field]] = {
        int: forms.IntegerField,
        float: forms.FloatField,
        Decimal: forms.DecimalField,
        UUID: forms.UUIDField,
        datetime: MomentField,
        date: forms.DateField,
        time: forms.TimeField,
        timedelta: forms.DurationField,
    }
    if annotation is date:
        options["widget"] = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    if annotation is UUID:
        options["widget"] = forms.TextInput(attrs={"class": "vUUIDField", "size": 40, "spellcheck": "false"})
    made = fields.get(annotation)
    return JsonField(**options) if made is None else made(**options)


def _plain(annotation: Any) -> tuple[Any, bool]:
    """The annotation without what is said beside it, and without None; whether it allows None."""
    if typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (Union, types.UnionType):
        parts = [one for one in typing.get_args(annotation) if one is not type(None)]
        if len(parts) < len(typing.get_args(annotation)):
            return (_plain(parts[0])[0] if len(parts) == 1 else Any), True
        return Any, False
    return annotation, False


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
