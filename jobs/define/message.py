"""The arguments of a job: checked against the task's signature, written as JSON, read back with their types."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, NoReturn

import msgspec
from django.db.models import Model, QuerySet
from django.utils.functional import Promise

from ..errors import InvalidArguments, InvalidTask

#: Limits of DESIGN §9, in bytes of JSON.
MAX_ARGUMENTS = 64 * 1024
MAX_RESULT = 64 * 1024
#: How deep lists and objects may stand in each other: every reader of JSON has such a limit, and some lie low.
MAX_DEPTH = 100
VERSION = 1
#: Parameter names that Huey's own call syntax takes away from the task (Huey 3.5, `TaskWrapper.s`).
RESERVED_PARAMETERS = frozenset(
    {"id", "eta", "delay", "retries", "retry_delay", "retry_backoff", "priority", "expires", "timeout"}
)
_JSON_TYPES = (str, int, float, bool, type(None))
_encoder = msgspec.json.Encoder(decimal_format="string")


class MessageError(Exception):
    """A stored message cannot be read as arguments of the task as it is now."""


class NotPlain(ValueError):
    """A value that JSON cannot hold, whatever its type."""


class Signature:
    """What a task takes, and how each argument travels."""

    def __init__(self, func: Callable[..., Any], name: str, *, context: bool = False) -> None:
        self.name = name
        self.func = func
        signature = inspect.signature(func)
        if context:
            # Huey's `context=True` passes the Task as `task`; it is never an argument of the caller
            signature = signature.replace(parameters=[p for p in signature.parameters.values() if p.name != "task"])
        self.signature = signature
        self.personal: frozenset[str] = frozenset()
        self._hints: dict[str, Any] | None = None
        self._by_position, self._least = _positions(signature)
        taken = sorted(RESERVED_PARAMETERS & set(signature.parameters))
        if taken:
            raise InvalidTask(
                f"task {name}: the parameter name {taken[0]!r} belongs to Huey's call syntax; "
                f"give the parameter another name (reserved: {', '.join(sorted(RESERVED_PARAMETERS))})"
            )

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """The JSON text for a call; raises `InvalidArguments`, a TypeError, that names the argument and the remedy."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(f"{self.name}{self.signature}: {error}") from None
        written: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            written[name] = self._write(name, value)
        positional, named = self._split(written)
        try:
            text = _encoder.encode({"v": VERSION, "args": positional, "kwargs": named})
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidArguments(f"{self.name}: the arguments cannot be written as JSON: {error}") from None
        if len(text) > MAX_ARGUMENTS:
            raise InvalidArguments(
                f"{self.name}: the arguments take {len(text):,} bytes of JSON, the limit is {MAX_ARGUMENTS:,}; "
                "store the data in a row and pass its id"
            )
        return text.decode()

    def decode(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call's arguments with their types; raises `MessageError` if they do not fit the task as it is now."""
        try:
            content = msgspec.json.decode(text)
            version, args, kwargs = content["v"], content["args"], content["kwargs"]
        except (msgspec.DecodeError, KeyError, TypeError, RecursionError) as error:
            raise MessageError(f"unreadable message: {error}") from None
        if version != VERSION:
            raise MessageError(f"message version {version!r}; this code reads version {VERSION}")
        try:
            if not kwargs and self._least <= len(args) <= len(self._by_position):
                # as `bind` would, in a tenth of its time
                return tuple(map(self._read, self._by_position, args)), {}
            bound = self.signature.bind(*args, **kwargs)
            read = {name: self._read(name, value) for name, value in bound.arguments.items()}
        except (TypeError, msgspec.ValidationError) as error:
            raise MessageError(f"arguments do not fit {self.name}{self.signature}: {error}") from None
        bound.arguments.update(read)
        return bound.args, bound.kwargs

    def _split(self, written: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        keywords_from_here = False
        for name, parameter in self.signature.parameters.items():
            if name not in written:
                keywords_from_here = True
            elif parameter.kind is parameter.VAR_POSITIONAL:
                positional.extend(written[name])
            elif parameter.kind is parameter.VAR_KEYWORD:
                named.update(written[name])
            elif parameter.kind is parameter.KEYWORD_ONLY or (
                keywords_from_here and parameter.kind is not parameter.POSITIONAL_ONLY
            ):
                named[name] = written[name]
            else:
                positional.append(written[name])
        return positional, named

    def _annotation(self, name: str) -> Any:
        if self._hints is None:
            try:
                self._hints = typing.get_type_hints(self.func)
            except Exception as error:
                raise InvalidArguments(
                    f"{self.name}: an annotation cannot be resolved ({error}); import its type in the task's module"
                ) from error
        return self._hints.get(name, Any)

    def _write(self, name: str, value: Any) -> Any:
        parameter = self.signature.parameters[name]
        annotation = self._annotation(name)
        if parameter.kind is parameter.VAR_POSITIONAL:
            return [self._write_one(f"*{name}[{i}]", item, annotation) for i, item in enumerate(value)]
        if parameter.kind is parameter.VAR_KEYWORD:
            return {key: self._write_one(key, item, annotation) for key, item in value.items()}
        return self._write_one(name, value, annotation)

    def _write_one(self, name: str, value: Any, annotation: Any) -> Any:
        try:
            value = _plain(value)
        except (NotPlain, RecursionError) as error:
            raise InvalidArguments(f"{self.name}: argument {name}: {error}") from None
        if annotation is Any or annotation is inspect.Parameter.empty:
            self._check_plain(name, value)
            return value
        self._refuse_models(name, value)
        try:
            # a str is taken for a UUID, a date or a Decimal, as JSON would carry it
            plain = msgspec.to_builtins(value, enc_hook=lambda item: self._refuse_item(name, item))
            msgspec.convert(plain, annotation, strict=True)
        except InvalidArguments:
            raise
        except msgspec.ValidationError as error:
            raise InvalidArguments(
                f"{self.name}: argument {name}={self._quoted(name, value)}: {self._masked(name, error)}"
            ) from None
        except (TypeError, RecursionError) as error:
            raise InvalidArguments(
                f"{self.name}: argument {name}={self._quoted(name, value)} "
                f"cannot travel as {_type_name(annotation)}: {error}"
            ) from None
        self._check_plain(name, plain)
        return plain

    def _read(self, name: str, value: Any) -> Any:
        parameter = self.signature.parameters[name]
        annotation = self._annotation(name)
        if annotation is Any or annotation is inspect.Parameter.empty:
            return value
        if parameter.kind is parameter.VAR_POSITIONAL:
            return tuple(msgspec.convert(item, annotation) for item in value)
        if parameter.kind is parameter.VAR_KEYWORD:
            return {key: msgspec.convert(item, annotation) for key, item in value.items()}
        try:
            return msgspec.convert(value, annotation)
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(f"{name}: {self._masked(name, error)}") from None

    def _quoted(self, name: str, value: Any) -> str:
        return "***" if name in self.personal else _short(value)

    def _masked(self, name: str, error: Exception) -> str:
        return "the value does not fit the annotation" if name in self.personal else str(error)

    def _refuse_models(self, name: str, value: Any) -> None:
        if isinstance(value, Model):
            # a lazy object (request.user) is called by the class that it stands for
            kind = value.__class__.__name__
            raise InvalidArguments(
                f"{self.name}: argument {name} is a {kind} instance; pass {kind.lower()}.id and load it in the task"
            )
        if isinstance(value, QuerySet):
            raise InvalidArguments(f"{self.name}: argument {name} is a QuerySet; pass a list of ids")

    def _refuse_item(self, name: str, item: Any) -> NoReturn:
        self._refuse_models(name, item)
        raise TypeError(f"a {type(item).__name__} is no JSON")

    def _check_plain(self, name: str, value: Any) -> None:
        self._refuse_models(name, value)
        if isinstance(value, float) and not math.isfinite(value):  # of a dataclass
            raise InvalidArguments(f"{self.name}: argument {name}: JSON has no number {value!r}")
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise InvalidArguments(
                f"{self.name}: argument {name}={self._quoted(name, value)}: a whole number of over 64 bits"
            )
        if isinstance(value, _JSON_TYPES):
            return
        if isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str):
                    raise InvalidArguments(f"{self.name}: argument {name}: a JSON object's keys are str, not {key!r}")
                self._check_plain(f"{name}[{key!r}]", item)
            return
        if isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                self._check_plain(f"{name}[{i}]", item)
            return
        kind = type(value).__name__
        if is_dataclass(value) or type(value).__module__ in {"uuid", "datetime", "decimal", "enum"}:
            raise InvalidArguments(
                f"{self.name}: argument {name} is a {kind}; annotate the parameter ({name}: {kind}) so that it travels"
            )
        raise InvalidArguments(
            f"{self.name}: argument {name}={self._quoted(name, value)} is a {kind}, which is no JSON; "
            "pass an id or plain values"
        )


def encode_result(name: str, value: Any) -> str | None:
    """The JSON text of what a task returned, or None for None; raises `InvalidArguments` (also above 64 KiB)."""
    if value is None:
        return None
    try:
        text = _encoder.encode(_plain(value))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArguments(f"{name} returned {_short(value)}, which cannot be written as JSON: {error}") from None
    if len(text) > MAX_RESULT:
        raise InvalidArguments(
            f"{name} returned {len(text):,} bytes of JSON, the limit is {MAX_RESULT:,}; store it and return its id"
        )
    return text.decode()


def decode_result(text: str | None) -> Any:
    """What a task returned, as JSON values."""
    return None if text is None else msgspec.json.decode(text)


def _positions(signature: inspect.Signature) -> tuple[tuple[str, ...], float]:
    """The parameters that take a plain call's arguments in turn, and how many it must have at least."""
    names, least = [], 0.0
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(name)
            least += parameter.default is parameter.empty
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            least = math.inf
    return tuple(names), least


def _plain(value: Any, depth: int = 0) -> Any:
    """The value with Django's lazy and safe texts as what they say; raises `NotPlain`."""
    if isinstance(value, Promise) or (
        isinstance(value, str) and type(value) is not str and not isinstance(value, Enum)
    ):
        return str.__str__(value) if isinstance(value, str) else str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise NotPlain(f"JSON has no number {value!r}")
    if depth > MAX_DEPTH:
        raise NotPlain(f"lists and objects stand over {MAX_DEPTH} deep in each other")
    if type(value) is dict:
        return {_plain(key, depth): _plain(item, depth + 1) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [_plain(item, depth + 1) for item in value]
    return value


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # a value that cannot even be shown must not hide what is wrong with it
        text = f"<{type(value).__name__} without repr: {type(error).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _type_name(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation)
