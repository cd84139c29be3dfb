"""A task whose function takes several jobs in one call: what its declaration must say, and what it is given."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from ..broker.records import ClaimedJob
from ..errors import InvalidArguments, InvalidTask, NotSupported, RetryLater
from ..policy import MOST_AT_ONCE, ONE_DAY, Bulk
from .context import RunningJob
from .desk import Desk, LooseDesk

A = TypeVar("A")

_SHAPE = (
    "expected one parameter that is a list of BulkJob[...] of a dataclass, whose fields are the arguments of one job: "
    "def store(jobs: list[BulkJob[Row]]) -> None"
)


class BulkJob(RunningJob, Generic[A]):
    """One of the jobs that a bulk task's function is given: `args` are its arguments, a value of their dataclass.

    Beside what `current_job()` offers it has `complete`, `fail` and `retry_later`, each of which says how this job
    ends, whatever becomes of the others; what is said last counts. A job of which nothing is said completes when the
    function returns, and fails with what it raises.
    """

    def __init__(
        self,
        args: A,
        claimed: ClaimedJob,
        still_mine: Callable[[], bool],
        *,
        make_desk: Callable[[], Desk] = LooseDesk,
    ) -> None:
        super().__init__(claimed, still_mine, make_desk=make_desk)
        self.args = args
        self._has_ended = False
        self._error: BaseException | None = None
        self._value: Any = None

    def set_deadline(self, deadline: float | None, *, tells: bool) -> None:
        """When the call is to have ended; of one that runs on past it one of its jobs `tells`, for all."""
        self._deadline, self.told_late = deadline, not tells

    def complete(self, result: Any = None) -> None:
        """The job is done, with this result, JSON values; it stays so if the function raises afterwards."""
        self._has_ended, self._error, self._value = True, None, result

    def fail(self, error: BaseException) -> None:
        """The job ends as if it alone had raised this: another attempt, or a dead letter (`PermanentError`).

        Raises `InvalidArguments` for what is no exception.
        """
        if not isinstance(error, BaseException):
            raise InvalidArguments(f"fail({error!r}): expected an exception, such as PermanentError('no such contact')")
        self._has_ended, self._error, self._value = True, error, None

    def retry_later(self, seconds: float, *, reason: str = "") -> None:
        """The job is due again in so many seconds, and burns no attempt. Raises `InvalidOption`."""
        self.fail(RetryLater(seconds, reason=reason))

    @property
    def has_ended(self) -> bool:
        """Whether it was said how the job ends."""
        return self._has_ended

    @property
    def error(self) -> BaseException | None:
        """What was said to have failed it."""
        return self._error

    @property
    def value(self) -> Any:
        """The result that was given to `complete`."""
        return self._value

    def iterate(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: the jobs of a call go on or end together."""
        raise NotSupported("iterate() in a bulk task: its jobs are one call; give each item a job, or take no bulk=")


def bulk_of(name: str, bulk: object, least: object, wait: object) -> Bulk | None:
    """What `@queue.task(bulk=, bulk_min=, wait=)` says; None: one job a call. Raises `InvalidTask`."""
    if bulk is None:
        for option, value in (("bulk_min", least), ("wait", wait)):
            if value is not None:
                text = "it says when a call with several jobs begins; add bulk="
                raise InvalidTask(f"task {name}: {option}={value!r} without bulk=: {text}")
        return None
    most = _whole(name, "bulk", bulk, MOST_AT_ONCE)
    if wait is None:
        if least is not None and _whole(name, "bulk_min", least, most) > 1:
            text = "say how many seconds the first job waits for the others at most"
            raise InvalidTask(f"task {name}: bulk_min={least} without wait=: {text}")
        return Bulk(most)
    if not isinstance(wait, (int, float)) or isinstance(wait, bool) or not 0 < wait <= ONE_DAY:
        raise InvalidTask(f"task {name}: wait={wait!r}: expected seconds above 0, at most one day")
    least = most if least is None else _whole(name, "bulk_min", least, most)
    if least == 1:
        raise InvalidTask(f"task {name}: wait={wait:g} where one job is enough to begin: take it away")
    return Bulk(most, least, float(wait))


def arguments_of(name: str, func: Callable[..., Any], **options: object) -> type[Any]:
    """The dataclass of one job's arguments; raises `InvalidTask`, also for `options` that a bulk task cannot have."""
    for option in (option for option, value in options.items() if value):
        raise InvalidTask(f"task {name}: bulk= and {option}=True: {_WHY_NOT[option]}")
    try:
        hints = typing.get_type_hints(func)
    except Exception as error:
        text = f"an annotation cannot be resolved ({error}); the dataclass of the arguments stands above the function"
        raise InvalidTask(f"task {name} with bulk=: {text}") from None
    if hints.pop("return", type(None)) is not type(None):
        text = "it returns nothing, since each job has a result of its own: job.complete(result)"
        raise InvalidTask(f"task {name} with bulk=: {text}")
    parameters = list(inspect.signature(func).parameters)
    of_list = typing.get_args(hints.get(parameters[0])) if len(parameters) == 1 else ()
    found = typing.get_args(of_list[0]) if of_list and typing.get_origin(of_list[0]) is BulkJob else ()
    if not found or not isinstance(found[0], type) or not dataclasses.is_dataclass(found[0]):
        raise InvalidTask(f"task {name} with bulk=: {_SHAPE}")
    made = [field.name for field in dataclasses.fields(found[0]) if field.default_factory is not dataclasses.MISSING]
    if made:
        text = "give it a plain default: None, say"
        raise InvalidTask(f"task {name} with bulk=: {found[0].__name__}.{made[0]} has a default_factory; {text}")
    return found[0]


_WHY_NOT = {
    "atomic": "its jobs end apart, and one transaction has one end; open transaction.atomic() in the function",
    "isolated": "a process of its own runs one job; take one of them away",
    "context": "Huey's task is one job's, and the function takes several; each says by itself what it is",
}


def _whole(name: str, option: str, value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise InvalidTask(f"task {name}: {option}={value!r}: expected a whole number from 1 to {most:,}")
    return value
