"""Other arguments for a job that is there: checked like those of a call, the others kept as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidArguments
from .message import VERSION, MessageError, Signature


def edited(signature: Signature, text: str, changed: Mapping[str, Any]) -> str:
    """The stored arguments with these named ones in place of theirs.

    Raises `InvalidArguments` for a name that the task does not take, or a value that does not fit it, and
    `MessageError` where the stored arguments do not fit the task as it is now.
    """
    args, kwargs = signature.decode(text)
    bound = signature.signature.bind(*args, **kwargs)
    _put(signature, bound.arguments, changed)
    return _with_rest(text, signature.encode(bound.args, bound.kwargs))


def edited_json(signature: Signature, text: str, changed: Mapping[str, Any]) -> str:
    """The same with JSON values, as people type them: each is read by the parameter's annotation."""
    signature.decode(text)
    content = json.loads(text)
    bound = signature.signature.bind(*content["args"], **content["kwargs"])
    _put(signature, bound.arguments, changed)
    given = {"v": VERSION, "args": bound.args, "kwargs": bound.kwargs}
    try:
        args, kwargs = signature.decode(json.dumps(given))
    except MessageError as error:
        raise InvalidArguments(str(error)) from None
    return _with_rest(text, signature.encode(args, kwargs))


def _with_rest(text: str, message: str) -> str:
    """The new message with what the stored one holds beside the arguments: that of Django's tasks."""
    rest = {name: value for name, value in json.loads(text).items() if name not in ("v", "args", "kwargs")}
    return f"{message[:-1]},{json.dumps(rest, ensure_ascii=False, separators=(',', ':'))[1:]}" if rest else message


def _put(signature: Signature, arguments: dict[str, Any], changed: Mapping[str, Any]) -> None:
    parameters = signature.signature.parameters
    rest = next((one.name for one in parameters.values() if one.kind is one.VAR_KEYWORD), None)
    for name, value in changed.items():
        found = parameters.get(name)
        if found is not None and found.kind not in (found.VAR_KEYWORD, found.VAR_POSITIONAL):
            arguments[name] = value
        elif rest is not None and found is None:
            arguments[rest] = {**arguments.get(rest, {}), name: value}
        else:
            takes = ", ".join(parameters) or "none"
            raise InvalidArguments(f"{signature.name} has no argument {name!r} that can be named; it takes: {takes}")
