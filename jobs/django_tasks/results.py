"""Django's `TaskResult` of a job: of its row, of a job that was just enqueued, and of one that runs."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .. import clock, reasons
from ..broker.records import ClaimedJob, Failed, GivenUp
from ..conf import jobs_settings
from ..define.results import decode_result
from ..states import State
from .framework import TaskContext, TaskError, TaskResult, TaskResultStatus

if TYPE_CHECKING:
    from ..models import Attempt, Job

_STATUS = {
    State.PENDING: TaskResultStatus.READY,
    State.QUEUED: TaskResultStatus.READY,
    State.ACTIVE: TaskResultStatus.RUNNING,
    State.COMPLETED: TaskResultStatus.SUCCESSFUL,
}
#: The class that stands for an end which no exception of the task's brought about.
NO_EXCEPTION = "jobs.errors.JobFailed"
#: Stands for the worker of an attempt that the history does not know yet.
NOT_KNOWN = "?"
#: The member of a job's message that holds what Django knows of a call beside its arguments.
EXTRA = "django"
_NOT_KEPT = object()


# slots as Django's have: without them the default of `_return_value` would be lost
@dataclass(frozen=True, slots=True, kw_only=True)
class Result(TaskResult):  # type: ignore[type-arg,misc]  # the stubs' is not frozen, Django's is
    """What Django calls a result, with the metadata of Django's coming version."""

    raw_metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, Any]:
        """A copy of what `using(metadata=)` gave, without the names that begin with `_`."""
        return {name: value for name, value in self.raw_metadata.items() if not name.startswith("_")}

    @property
    def return_value(self) -> Any:
        """What the function returned; raises ValueError while it has not, and where it was not kept (G9)."""
        if self._return_value is _NOT_KEPT:  # type: ignore[attr-defined]
            raise ValueError(reasons.NOT_KEPT)
        return TaskResult.return_value.fget(self)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(TaskContext):  # type: ignore[type-arg,misc]
    """What a function with `takes_context=True` is given."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What `using(metadata=)` gave; it cannot be changed here."""
        return MappingProxyType(self.task_result.metadata)  # type: ignore[attr-defined]


def extra_of(task: Any) -> dict[str, Any]:
    """What a job's message holds of the call beside its arguments; mostly nothing."""
    after, metadata = task.run_after, getattr(task, "metadata", None)
    found: dict[str, Any] = {} if after is None else {"run_after": after.isoformat()}
    return {**found, "metadata": dict(metadata)} if metadata else found


def of_new(task: Any, backend: str, job_id: UUID, args: list[Any], kwargs: dict[str, Any]) -> Result:
    """The result of a task that was enqueued this moment."""
    return _result(
        task, backend, job_id, args, kwargs, getattr(task, "metadata", None) or {},
        status=TaskResultStatus.READY, enqueued_at=clock.now(),
    )  # fmt: skip


def of_row(row: Job, found: Any, backend: str) -> Result:
    """The result of a job by its row; `found` is the task that the row names."""
    attempts = _attempts(row.pk, row.run)
    extra = _extra(row.message)
    state = State(row.state)
    counted = [one for one in attempts if one.number is not None]
    workers = _workers(counted, row.attempts)
    starts = [one.started_at for one in attempts if one.started_at is not None]
    if state is State.ACTIVE:
        workers.append(NOT_KNOWN if row.worker_id is None else str(row.worker_id))
        if (last := row.started_at or row.claimed_at) is not None:
            starts.append(last)
    errors = [_error_of(one) for one in counted if one.outcome == "failed"]
    if row.ended_at is not None and state is not State.COMPLETED and not _said(row, counted):
        text = row.error or row.reason or state.value
        errors.append(TaskError(exception_class_path=NO_EXCEPTION, traceback=f"{NO_EXCEPTION}: {text}\n"))
    result = _result(
        _as_enqueued(found, row.stored_priority, row.queue, backend, extra),
        backend, row.pk, row.args, row.kwargs, extra.get("metadata", {}),
        status=_STATUS.get(state, TaskResultStatus.FAILED),
        enqueued_at=row.created_at,
        started_at=min(starts, default=None),
        last_attempted_at=max(starts, default=None),
        finished_at=row.ended_at,
        errors=errors,
        worker_ids=workers,
    )  # fmt: skip
    if state is State.COMPLETED:
        value = _NOT_KEPT if row.error == reasons.NOT_KEPT else decode_result(row.result)
        object.__setattr__(result, "_return_value", value)
    return result


def of_running(claimed: ClaimedJob, found: Any, backend: str, *, with_history: bool) -> Result:
    """The result of a job as it starts; `with_history`: with the attempts that have gone before, as far as it is read.

    Costs nothing at the first attempt. Without it, the attempts are counted and not told of.
    """
    content, now = json.loads(claimed.message), clock.now()
    extra = content.get(EXTRA, {})
    before = _attempts_before(claimed) if with_history and claimed.attempts else []
    return _result(
        _as_enqueued(found, claimed.priority, claimed.queue, backend, extra),
        backend, claimed.id, content["args"], content["kwargs"], extra.get("metadata", {}),
        status=TaskResultStatus.RUNNING,
        enqueued_at=_moment_of(claimed.id),
        started_at=min((one.started_at for one in before if one.started_at is not None), default=now),
        last_attempted_at=now,
        errors=[_error_of(one) for one in before if one.outcome == "failed"],
        worker_ids=[*_workers(before, claimed.attempts), f"{socket.gethostname()}:{os.getpid()}"],
    )  # fmt: skip


def with_error(result: Result, error: TaskError) -> Result:
    """The same after an attempt that ended with this error."""
    return replace(result, status=TaskResultStatus.READY, errors=[*result.errors, error])


def finish(result: Result, status: TaskResultStatus, value: Any = None, error: TaskError | None = None) -> None:
    """Let the result of a job that ran say how it ended."""
    object.__setattr__(result, "status", status)
    object.__setattr__(result, "finished_at", clock.now())
    object.__setattr__(result, "_return_value", value)
    if error is not None:
        result.errors.append(error)


def told_otherwise(outcome: Failed | GivenUp) -> TaskError:
    """What stands for the exception where none of the task's ended the job."""
    text = outcome.error if isinstance(outcome, Failed) else outcome.reason
    return TaskError(exception_class_path=NO_EXCEPTION, traceback=f"{NO_EXCEPTION}: {text}\n")


def _result(
    task: Any,
    backend: str,
    job_id: UUID,
    args: list[Any],
    kwargs: dict[str, Any],
    metadata: Mapping[str, Any],
    *,
    status: TaskResultStatus,
    enqueued_at: datetime,
    started_at: datetime | None = None,
    last_attempted_at: datetime | None = None,
    finished_at: datetime | None = None,
    errors: Sequence[TaskError] = (),
    worker_ids: Sequence[str] = (),
) -> Result:
    return Result(
        task=task,
        id=str(job_id),
        status=status,
        enqueued_at=enqueued_at,
        started_at=started_at,
        finished_at=finished_at,
        last_attempted_at=last_attempted_at,
        args=args,
        kwargs=kwargs,
        backend=backend,
        errors=list(errors),
        worker_ids=list(worker_ids),
        raw_metadata=dict(metadata),
    )


def _as_enqueued(found: Any, priority: int, queue: str, backend: str, extra: Mapping[str, Any]) -> Any:
    """The task as `using` had made it; not checked anew, since its queue may have been taken out since."""
    after = extra.get("run_after")
    values = {one.name: getattr(found, one.name) for one in fields(found)}
    values |= {"priority": priority, "queue_name": queue, "backend": backend}
    values["run_after"] = None if after is None else datetime.fromisoformat(after)
    if "metadata" in values:
        values["metadata"] = extra.get("metadata", {})
    task = object.__new__(type(found))
    for name, value in values.items():
        object.__setattr__(task, name, value)
    return task


def _attempts(job_id: UUID, run: int) -> list[Attempt]:
    from ..models import Attempt

    return list(Attempt.objects.using(jobs_settings().database).filter(job_id=job_id, run=run).order_by("id"))


def _attempts_before(claimed: ClaimedJob) -> list[Attempt]:
    from ..history import live

    live.hear([claimed.queue])
    return [one for one in _attempts(claimed.id, claimed.run) if one.number is not None]


def _workers(counted: Sequence[Attempt], attempts: int) -> list[str]:
    """The workers of the attempts that count; what the history has not heard of yet is marked."""
    known = [one.worker or NOT_KNOWN for one in counted][:attempts]
    return known + [NOT_KNOWN] * (attempts - len(known))


def _extra(message: str) -> dict[str, Any]:
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    found = content.get(EXTRA) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def _said(row: Job, counted: Sequence[Attempt]) -> bool:
    """Whether the last attempt's error is what ended the job."""
    return bool(counted) and counted[-1].outcome == "failed" and row.state == State.FAILED


def _error_of(attempt: Attempt) -> TaskError:
    trace = attempt.traceback or f"{attempt.error}\n"
    return TaskError(exception_class_path=class_path(attempt.error, trace), traceback=trace)


def class_path(error: str, trace: str) -> str:
    """The dotted path of an exception's class, by its line and its traceback; the last one that has the name.

    A traceback names a class with its module, but for those of Python itself.
    """
    name = error.partition(":")[0]
    if not name.isidentifier():
        return NO_EXCEPTION
    found = re.findall(rf"^[ |+-]*((?:[\w<>]+\.)*{re.escape(name)})(?::|$)", trace, re.MULTILINE)
    path: str = found[-1] if found else name
    return path if "." in path else f"builtins.{path}"


def _moment_of(job_id: UUID) -> datetime:
    """When the job was enqueued, by its id (a UUIDv7)."""
    return datetime.fromtimestamp((job_id.int >> 80) / 1_000, tz=clock.now().tzinfo)
