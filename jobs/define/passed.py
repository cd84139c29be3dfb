"""What a job is given of those that it waits for, as arguments behind its own: the rules of Huey's pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from inspect import Parameter
from typing import Any

import msgspec

from ..errors import InvalidArguments
from .awaited import AwaitedJob
from .message import INCOMPLETE, VERSION, IncompleteMessage, Signature

#: How such a message begins.
BEGINNING = f'{{"v":{INCOMPLETE},'


class NothingToTake(Exception):
    """There is no result to go on with, and there will be none."""


class Takes(StrEnum):
    """What it is given."""

    RESULT = "result"  # of a tuple each part, of an object named arguments, of None nothing, anything else as it is
    ERROR = "error"  # the text of the error
    RESULTS = "results"  # one list of the results of all, in order


class _Incomplete(msgspec.Struct):
    """A stored message that lacks something."""

    args: list[Any]
    kwargs: dict[str, Any]
    takes: Takes


_reader = msgspec.json.Decoder(_Incomplete)


def incomplete_message(signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any], takes: Takes) -> str:
    """The message of a call that lacks what it takes; raises `InvalidArguments` for what is there.

    Places and names stay as they are given: what is to come is put behind these places, and not over these names.
    """
    try:
        signature.signature.bind_partial(*args, **kwargs)
        places = signature.signature.bind_partial(*args).arguments
        names = signature.signature.bind_partial(**kwargs).arguments
    except TypeError as error:
        raise InvalidArguments(f"{signature.name}{signature.signature}: {error}") from None
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for name, value in signature.written(places).items():
        positional += value if _kind(signature, name) is Parameter.VAR_POSITIONAL else [value]
    for name, value in signature.written(names).items():
        named |= value if _kind(signature, name) is Parameter.VAR_KEYWORD else {name: value}
    return signature.write(positional, named, v=INCOMPLETE, takes=str(takes))


def is_incomplete(text: str) -> bool:
    """Whether a stored message lacks what its job takes of others."""
    return text.startswith(BEGINNING)


def complete_message(text: str, awaited: Sequence[AwaitedJob]) -> str:
    """The same message with what it takes of the jobs that its own has waited for.

    Raises `NothingToTake`, and `IncompleteMessage` where newer code has written the message.
    """
    try:
        message = _reader.decode(text)
    except msgspec.ValidationError as error:
        raise IncompleteMessage(f"this code cannot complete the message: {error}") from None
    args, kwargs = message.args, message.kwargs
    if message.takes is Takes.RESULTS:
        args.append([_result_or_error(one) for one in awaited])
    elif message.takes is Takes.ERROR:
        args += [one.error for one in awaited]
    else:
        if [one.state for one in awaited] != ["completed"]:
            raise NothingToTake("the job that it takes its arguments of has not completed: enqueue it with all of them")
        _extend(args, kwargs, awaited[0].result)
    return msgspec.json.encode({"v": VERSION, "args": args, "kwargs": kwargs}).decode()


def _extend(args: list[Any], kwargs: dict[str, Any], result: Any) -> None:
    if isinstance(result, tuple):
        args += result
    elif isinstance(result, dict):
        kwargs.update({name: value for name, value in result.items() if name not in kwargs})
    elif result is not None:
        args.append(result)


def _result_or_error(job: AwaitedJob) -> Any:
    """None for one that never ran, as for Huey's `SKIPPED`."""
    return {"error": job.error, "task_id": str(job.id)} if job.state == "failed" else job.result


def _kind(signature: Signature, name: str) -> Any:
    return signature.signature.parameters[name].kind
