"""The columns of a list: moments from now, states as coloured words, numbers under one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from .marks import Mark, marked
from .moments import ago

#: What a list shows for nothing.
NOTHING = "–"

Column = str | Callable[[Any], Any]


def as_column(model: type[models.Model], name: Any, marks: Mapping[str, Mapping[str, Mark]]) -> Column:
    """The column that shows the field of this name: of a moment how long ago, of a state its mark, else the field."""
    field = field_of(model, name)
    if field is not None and name in marks:
        return _state_column(field, marks[name])
    if isinstance(field, models.DateTimeField):
        return _moment_column(field)
    column: Column = name
    return column


def state_mark(row: models.Model, name: str, marks: Mapping[str, Mark]) -> Any:
    """The row's state as a coloured word; the word alone where its value has no mark."""
    value, word = getattr(row, name), getattr(row, f"get_{name}_display")()
    mark = marks.get(value)
    return word if mark is None else marked(mark, word, str(value))


def is_number(model: type[models.Model], name: Any) -> bool:
    """Whether a column holds numbers, by its field."""
    field = field_of(model, name)
    kinds = (models.IntegerField, models.FloatField, models.DecimalField)
    return isinstance(field, kinds) and not (field.primary_key or field.choices)


def field_of(model: type[models.Model], name: Any) -> models.Field[Any, Any] | None:
    """The model's own field of this name; None for a computed column."""
    try:
        found = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return found if isinstance(found, models.Field) else None


def _moment_column(field: models.Field[Any, Any]) -> Column:
    @admin.display(description=field.verbose_name, empty_value=NOTHING)
    def moment(row: Any) -> str | None:
        value: datetime | None = getattr(row, field.attname)
        return None if value is None else ago(value)

    moment.__name__ = field.name
    return moment


def _state_column(field: models.Field[Any, Any], marks: Mapping[str, Mark]) -> Column:
    @admin.display(description=field.verbose_name, empty_value=NOTHING)
    def state(row: Any) -> str:
        shown: str = state_mark(row, field.name, marks)
        return shown

    state.__name__ = field.name
    return state
