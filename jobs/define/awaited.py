"""A job that another one has waited for, as that one reads it; and the batch that a job is of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..conf import jobs_settings
from .results import decode_result

if TYPE_CHECKING:
    from .batch import Batch

#: Set by `jobs.define.batch`, which stands above.
_find_batch: list[Callable[[UUID], Batch | None]] = []


@dataclass(frozen=True, slots=True)
class AwaitedJob:
    """How a job ended that the present one has waited for; retention may have removed the job itself.

    `state` is `completed`, `failed`, `cancelled` or `expired`; `result` what the task returned (JSON values), None
    without one; `error` the last error, or why it was cancelled.
    """

    id: UUID
    state: str
    result: Any = None
    error: str = ""


def awaited_by(job_id: UUID) -> tuple[AwaitedJob, ...]:
    """The jobs that this one has waited for, in order."""
    from ..models import Edge

    found = Edge.objects.using(jobs_settings().database).filter(waiting_id=job_id).order_by("position")
    return tuple(
        AwaitedJob(id, state, decode_result(result), error)
        for id, state, result, error in found.values_list("awaited_id", "state", "result", "error")
    )


def find_batches_by(find: Callable[[UUID], Batch | None]) -> None:
    """Let `find` say which batch a job is of."""
    _find_batch[:] = [find]


def batch_of(job_id: UUID) -> Batch | None:
    """The batch that the job is of, or whose end it follows; None: it is of none."""
    return _find_batch[0](job_id) if _find_batch else None
