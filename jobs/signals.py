"""What other apps may listen to. Sent in the worker, after the broker accepted the settle; one by the keeper.

For logs and metrics: a kill can lose one, and what a receiver raises is logged and goes no further. What must follow a
job is enqueued inside it. A receiver is a function `(sender, job, **kwargs)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.dispatch import Signal


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job as it was when this start of it ended. Times are aware UTC, by the broker's clock; no arguments, no key.

    `attempt` is the attempt's number in its run (the first is 1), `starts` all starts of the run, this one included,
    and `lost` those whose worker died. `ready_at` is when the job was due, `started_at` when its task's first line ran
    (None if it was never called), `ended_at` when it ended. `event` and `event_id` name what caused the job (or are
    empty and None), `about` the object that it is about, as (model label, primary key).
    """

    id: UUID
    queue: str
    task: str
    run: int
    attempt: int
    starts: int
    lost: int
    ready_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    event: str = ""
    event_id: UUID | None = None
    about: tuple[str, str] | None = None


class WorkerSignal(Signal):
    """A signal whose receivers' errors the worker logs itself, in one line and without personal data."""

    def _log_robust_failure(self, receiver: Any, err: BaseException) -> None:
        """Django's own line has the error as it is, and demands that a receiver has a name."""


#: sender: the Queue; job: JobSnapshot; result: the JSON text of what the task returned, or None; seconds: it ran
job_completed = WorkerSignal()
#: sender: the Queue; job: JobSnapshot; error: str
job_failed = WorkerSignal()
#: sender: the Queue; job: JobSnapshot; error: str; delay: seconds until it is due again
job_retrying = WorkerSignal()


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The dead letters of one cause, as a keeper saw them; `error` has `#` in place of every value.

    `count` stops at 10,000 (`more`); `release` is that of the last one, `first_release` the one in which the cause was
    first seen (empty where none is set). Times are aware UTC.
    """

    cause: str
    task: str
    queue: str
    error: str
    count: int
    more: bool
    first_at: datetime
    last_at: datetime
    release: str
    first_release: str


#: Sent by a keeper of all that run, at most once for each cause and hour, when jobs have become dead letters.
#: sender: the queue's name; cause: DeadLetters
dead_letter_alert = WorkerSignal()
#: A circuit breaker has opened, or closed again; sent in the process that did it, once.
#: sender: the breaker's name; by_hand: whether a person asked for it
breaker_opened = WorkerSignal()
breaker_closed = WorkerSignal()
#: sender: the Queue; error: the exception that a worker's own machinery met
worker_error = Signal()
