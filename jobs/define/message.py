"""The arguments of a job: checked against the task's signature, written as JSON, read back with their types."""

from __future__ import annotations

import inspect
import reprlib
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, NoReturn, Union
from uuid import UUID

import msgspec

from ..errors import CannotDecrypt, InvalidArguments, InvalidTask
from . import sealing
from .values import HIGHEST, LOWEST, NotPlain, TooWide, difference, is_plain, name_of, plain
from .values import MAX_DEPTH as MAX_DEPTH

#: The limit of DESIGN §9, in bytes of JSON.
MAX_ARGUMENTS = 64 * 1024
VERSION = 1
#: Of a message whose arguments are not all known yet (`jobs.define.passed`): code that cannot complete it leaves it.
INCOMPLETE = 2
#: Parameter names that Huey's own call syntax takes away from the task (Huey 3.5, `TaskWrapper.s`).
RESERVED_PARAMETERS = frozenset(
    {"id", "eta", "delay", "retries", "retry_delay", "retry_backoff", "priority", "expires", "timeout"}
)
#: Types whose every value, if it can be written at all, comes out of JSON equal; a UUID where an annotation names it.
_PLAIN: frozenset[type] = frozenset({str, int, bool, type(None)})
_SURE = _PLAIN | {UUID}
#: Modules whose types travel where an annotation names them.
_TRAVELLING = frozenset({"uuid", "datetime", "decimal", "enum", "builtins"})
encoder = msgspec.json.Encoder(decimal_format="string")


class MessageError(Exception):
    """A stored message cannot be read as arguments of the task as it is now."""


class IncompleteMessage(MessageError):
    """The message lacks what the job is given of those that it waits for."""


class _Envelope(msgspec.Struct):
    """A stored message, its arguments still unread."""

    v: int
    args: list[msgspec.Raw]
    kwargs: dict[str, msgspec.Raw]


_envelope = msgspec.json.Decoder(_Envelope)


class _Parameter:
    """A parameter and how its values travel."""

    __slots__ = ("annotation", "kind", "name", "read", "read_open", "sealed", "sure")

    def __init__(self, parameter: inspect.Parameter, annotation: Any, *, sealed: bool) -> None:
        self.name = parameter.name
        self.kind = parameter.kind
        self.annotation = Any if annotation is parameter.empty else annotation
        self.sealed = sealed
        self.read_open: Callable[[Any], Any] = msgspec.json.Decoder(self.annotation).decode
        self.read = self._read_sealed if sealed else self.read_open
        self.sure = _sure_types(self.annotation)

    def _read_sealed(self, value: Any) -> Any:
        return self.read_open(sealing.opened_json(bytes(value)))


class Signature:
    """What a task takes, and how each argument travels."""

    def __init__(
        self,
        func: Callable[..., Any],
        name: str,
        *,
        context: bool = False,
        reserved: frozenset[str] = RESERVED_PARAMETERS,
    ) -> None:
        self.name = name
        self.func = func
        signature = inspect.signature(func)
        if context:
            # Huey's `context=True` passes the Task as `task`; it is never an argument of the caller
            signature = signature.replace(parameters=[p for p in signature.parameters.values() if p.name != "task"])
        self.signature = signature
        self.personal: frozenset[str] = frozenset()
        self.encrypted: frozenset[str] = frozenset()
        self._parameters: dict[str, _Parameter] = {}
        given = list(signature.parameters.values())
        self._positional = [one.name for one in given if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        self._keywords = {one.name for one in given if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)}
        self._required = {
            one.name
            for one in given
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        }
        taken = sorted(reserved & set(signature.parameters))
        if taken:
            raise InvalidTask(
                f"task {name}: the parameter name {taken[0]!r} belongs to Huey's call syntax; "
                f"give the parameter another name (reserved: {', '.join(sorted(reserved))})"
            )

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """The JSON text for a call; raises `InvalidArguments`, a TypeError, that names the argument and the remedy.

        What it lets pass comes out of `decode` equal.
        """
        try:
            arguments = self._bind(args, kwargs)
        except TypeError as error:
            raise InvalidArguments(f"{self.name}{self.signature}: {error}") from None
        return self.write(*self._split(self.written(arguments)))

    def written(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by their parameters' names, as JSON; raises `InvalidArguments`."""
        parameters = self._parameters or self._find_parameters()
        return {name: self._write(parameters[name], value) for name, value in arguments.items()}

    def write(self, positional: Sequence[Any], named: Mapping[str, Any], **head: Any) -> str:
        """The message of arguments in JSON, with what else its head says; raises `InvalidArguments`."""
        try:
            text = encoder.encode({"v": VERSION, "args": positional, "kwargs": named, **head})
        except ValueError:
            self._refuse_unwritable(positional, named)
        if len(text) > MAX_ARGUMENTS:
            self._refuse_size(f"take {len(text):,} bytes of JSON, the limit is {MAX_ARGUMENTS:,}")
        return text.decode()

    def decode(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call's arguments with their types; raises `MessageError` if they do not fit the task as it is now."""
        try:
            message = _envelope.decode(text)
        except (ValueError, RecursionError) as error:
            raise MessageError(f"unreadable message: {error}") from None
        if message.v == INCOMPLETE:
            raise IncompleteMessage("some of its arguments come from the job that it waits for, when it starts")
        if message.v != VERSION:
            raise MessageError(f"message version {message.v}; this code reads version {VERSION}")
        try:
            arguments = self._bind(message.args, message.kwargs)
        except TypeError as error:
            raise self._misfit(str(error)) from None
        parameters = self._parameters or self._find_parameters()
        read = {name: self._read(parameters[name], value) for name, value in arguments.items()}
        if not message.kwargs and len(message.args) <= len(self._positional):
            return tuple(read.values()), {}
        bound = inspect.BoundArguments(self.signature, read)
        return bound.args, bound.kwargs

    def annotations(self) -> dict[str, Any]:
        """What the parameters are annotated with, by their names; `Any` where nothing is. Raises `InvalidArguments`."""
        return {name: one.annotation for name, one in (self._parameters or self._find_parameters()).items()}

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments of a call by their parameters' names; raises TypeError where they do not fit."""
        return self._bind(args, kwargs)

    def values_of(self, text: str, names: Sequence[str]) -> list[Any]:
        """Of a call's JSON text the values of these parameters, as JSON values; one that is left out is its default.

        Alike wherever the typed values are equal: 1 and 1.0 for a float, say.
        """
        message = _envelope.decode(text)
        given = self._bind(message.args, message.kwargs)
        parameters = self._parameters or self._find_parameters()
        values = []
        for name in names:
            default = self.signature.parameters[name].default
            raw = given[name] if name in given else encoder.encode(plain(default, MAX_ARGUMENTS))
            typed = plain(parameters[name].read(raw), MAX_ARGUMENTS)
            values.append(msgspec.json.decode(encoder.encode(typed)))
        return values

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        # as `bind` would, in a fraction of its time
        if len(args) <= len(self._positional):
            arguments = dict(zip(self._positional, args, strict=False))
            if not kwargs or (kwargs.keys() <= self._keywords and not kwargs.keys() & arguments.keys()):
                arguments.update(kwargs)
                if self._required <= arguments.keys():
                    return arguments
        return self.signature.bind(*args, **kwargs).arguments

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

    def _find_parameters(self) -> dict[str, _Parameter]:
        try:
            hints = typing.get_type_hints(self.func, include_extras=True)
        except Exception as error:
            raise InvalidArguments(
                f"{self.name}: an annotation cannot be resolved ({error}); import its type in the task's module"
            ) from error
        found: dict[str, _Parameter] = {}
        for name, parameter in self.signature.parameters.items():
            try:
                found[name] = _Parameter(parameter, hints.get(name, Any), sealed=name in self.encrypted)
            except Exception as error:
                raise InvalidArguments(
                    f"{self.name}: the annotation of {name}, {_type_name(hints[name])}, cannot travel as JSON: {error}"
                ) from error
        self._parameters = found
        return found

    def _write(self, parameter: _Parameter, value: Any) -> Any:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return [self._write_one(parameter, f"*{parameter.name}[{i}]", item) for i, item in enumerate(value)]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            return {key: self._write_one(parameter, key, item) for key, item in value.items()}
        return self._write_one(parameter, parameter.name, value)

    def _write_one(self, parameter: _Parameter, name: str, value: Any) -> Any:
        written = self._write_open(parameter, name, value)
        if not parameter.sealed:
            return written
        return sealing.seal_json(bytes(written) if isinstance(written, msgspec.Raw) else encoder.encode(written))

    def _write_open(self, parameter: _Parameter, name: str, value: Any) -> Any:
        """The value as JSON, after it was read again as the worker will read it."""
        kind = type(value)
        if kind in parameter.sure and (kind is not int or LOWEST <= value <= HIGHEST):
            return value
        if parameter.annotation is Any and is_plain(value, MAX_ARGUMENTS):
            return value
        personal = parameter.name in self.personal
        try:
            written = encoder.encode(plain(value, MAX_ARGUMENTS))
            found = difference(value, parameter.read_open(written))
        except TooWide:
            self._refuse_size(f"take over {MAX_ARGUMENTS:,} bytes of JSON")
        except Exception as error:  # of the value itself too: whatever it is, the caller hears which one it was
            said = "the value does not fit the annotation" if personal else said_of(error)
            raise InvalidArguments(
                f"{self.name}: argument {name}={'***' if personal else short(value)}: {said}"
            ) from None
        if found is None:
            return msgspec.Raw(written)
        where, how = found if not personal else ("", found[1])
        raise InvalidArguments(
            f"{self.name}: argument {name}{where}: {how}; {_remedy(parameter, value, inside=bool(found[0]))}"
        )

    def _read(self, parameter: _Parameter, value: Any) -> Any:
        try:
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                return tuple(parameter.read(item) for item in value)
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                return {key: parameter.read(item) for key, item in value.items()}
            return parameter.read(value)
        except CannotDecrypt as error:
            raise MessageError(f"argument {parameter.name} of {self.name}: {error}") from None
        except Exception as error:  # also what a dataclass of the project's raises in its __post_init__
            personal = parameter.name in self.personal
            said = "the value does not fit the annotation" if personal else said_of(error)
            raise self._misfit(f"{parameter.name}: {said}") from None

    def _misfit(self, said: str) -> MessageError:
        return MessageError(f"arguments do not fit {self.name}{self.signature}: {said}")

    def _refuse_size(self, said: str) -> NoReturn:
        raise InvalidArguments(f"{self.name}: the arguments {said}; store the data in a row and pass its id")

    def _refuse_unwritable(self, positional: Sequence[Any], named: Mapping[str, Any]) -> NoReturn:
        """Say which of the arguments it was that JSON cannot hold."""
        # the positional ones fill the parameters from the left; what is left over are those of *args
        names = [*self._positional, *("*args" for _one in positional)]
        for name, value in [*zip(names, positional, strict=False), *named.items()]:
            try:
                encoder.encode({name: value})
            except ValueError as error:
                # what no parameter is called so belongs to *args or **kwargs
                hidden = self.personal and (name in self.personal or name not in self.signature.parameters)
                shown = "***" if hidden else short(value)
                raise InvalidArguments(f"{self.name}: argument {name}={shown}: {said_of(error)}") from None
        raise InvalidArguments(f"{self.name}: the arguments cannot be written as JSON")


def _sure_types(annotation: Any) -> frozenset[type]:
    """Types whose values need no look: they come out as they went in."""
    if annotation is Any:
        return _PLAIN
    parts = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    return frozenset(parts) if all(_is_sure(one) for one in parts) else frozenset()


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (Union, types.UnionType)


def _is_sure(annotation: Any) -> bool:
    return isinstance(annotation, type) and annotation in _SURE


def _remedy(parameter: _Parameter, value: Any, *, inside: bool) -> str:
    """What to do about a value that does not come out equal."""
    if parameter.annotation is not Any:
        return f"pass what {_type_name(parameter.annotation)} stands for, or annotate what you pass"
    kind = type(value)
    if not inside and (kind.__module__ in _TRAVELLING or is_dataclass(kind) or issubclass(kind, (Enum, tuple))):
        return f"annotate the parameter ({parameter.name}: {kind.__name__}) so that it travels"
    return f"annotate the parameter {parameter.name} so that it travels, or pass plain JSON values"


def said_of(error: BaseException) -> str:
    """The error in words, without what it may quote of the value."""
    if isinstance(error, UnicodeEncodeError):
        return "a text with half of a surrogate pair is no JSON"
    if isinstance(error, RecursionError):
        return f"lists and objects stand over {MAX_DEPTH} deep in each other"
    if isinstance(error, (NotPlain, msgspec.MsgspecError)):
        return str(error)
    return _text_of(error, str)


def short(value: Any, masked: Callable[[str], str] = str) -> str:
    """The value in a few letters, without what the mask knows."""
    # first the mask, then the cut: half of a secret would not be recognised
    text = masked(_text_of(value, _Quoting().repr))
    return text if len(text) <= 60 else f"{text[:57]}..."


class _Quoting(reprlib.Repr):
    """Says few items of each list, since ten lists can hold a billion; but each text whole, for the mask to know it."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxstring = self.maxlong = self.maxother = sys.maxsize

    def repr_instance(self, x: Any, level: int) -> str:
        return _text_of(x, repr)


def _text_of(value: Any, read: Callable[[Any], str]) -> str:
    """The value's text; one that cannot even be shown must not hide what is wrong with it."""
    try:
        return read(value)
    except Exception as error:
        return f"<{name_of(value)} without {read.__name__}: {type(error).__name__}>"


def _type_name(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation)
