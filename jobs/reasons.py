"""What the engine writes into a job's `reason` and `error`: stored in English, shown in the language of the reader."""

from __future__ import annotations

import re
from functools import cache

from django.utils.translation import gettext, gettext_noop

DUPLICATE = gettext_noop("duplicate of %(holder)s")
MERGED = gettext_noop("job %(holder)s took over what it says")
RETRY_REFUSED = gettext_noop("retry refused: job %(holder)s holds the key")
BY_OPERATOR = gettext_noop("cancelled by an operator")
BY_HANDLE = gettext_noop("cancelled by its handle")
DISCARDED = gettext_noop("discarded by an operator")
DRAINED = gettext_noop("drained")
ERASED = gettext_noop("erased")
BEFORE_START = gettext_noop("cancelled before it started")
REFUSED_BY_HOOK = gettext_noop("refused by a pre_execute hook: %(error)s")
WORKER_STOPS = gettext_noop("the worker stops")
ENGINE_ERROR = gettext_noop("engine error: %(error)s")
PACE = gettext_noop("did not start within the pace guard")
COMMIT_FAILED = gettext_noop("COMMIT failed: %(error)s")
RUNS_ELSEWHERE = gettext_noop("an earlier start of the job is not over yet")
COMMITTED_BEFORE = gettext_noop("an earlier start had committed it")
ROW_LOCKED = gettext_noop("somebody held the job's row locked")
NO_CONNECTION = gettext_noop("the worker could not reach the database: %(error)s")
NO_RUNNER = gettext_noop("the process for isolated jobs could not be used: %(error)s")
UNKNOWN_TASK = gettext_noop("task '%(task)s' is not known to this worker")
NOT_UNDERSTOOD = gettext_noop("no worker understood the job for %(seconds)s s: %(error)s")
STARTED_TOO_OFTEN = gettext_noop("started %(count)s times without an end: interrupted, lost or cut off each time")
ASKS_TOO_OFTEN = gettext_noop("started %(count)s times and still asks for another start: %(error)s")
NOT_STORED = gettext_noop("the outcome could not be stored: %(error)s")
#: Of a job that waited for others: the first of them that did not complete.
WAITED_FAILED = gettext_noop("waited for job %(job)s, which failed")
WAITED_CANCELLED = gettext_noop("waited for job %(job)s, which was cancelled")
WAITED_EXPIRED = gettext_noop("waited for job %(job)s, which expired")
#: Of a job that follows the failure of another one.
NO_FAILURE = gettext_noop("it only follows a failure of job %(job)s")
#: Of a job that follows a batch that ended otherwise.
BATCH_FAILED = gettext_noop("not every job of the batch completed")
BATCH_SUCCEEDED = gettext_noop("every job of the batch completed")
BATCH_GONE = gettext_noop("the batch was forgotten before all its jobs had completed")
BY_BATCH = gettext_noop("its batch was cancelled")
GOES_ON = gettext_noop("the worker stops; the job goes on at its next item")
SLICE_OVER = gettext_noop("its time slice is over; the job goes on at its next item, behind the others")
NOT_KEPT_YET = gettext_noop("what the task is to remember could not be kept: %(error)s")
ON_REQUEST = gettext_noop("stopped on request")
ANOTHER_CANCELLED = gettext_noop("another job of the same call was stopped on request")
#: Said of a worker (`is_late`).
RUN_ON = gettext_noop("jobs that run on past their time, in places that were filled anew: %(count)s")
#: Said by `errors.RetryLater`.
LATER = gettext_noop("asked to be started again in %(seconds)s s")
#: Written by release_lost.sql.
KILLED_WORKER = gettext_noop("killed its worker: lost %(count)s times")
#: Said of a completed job whose facts waited too long for the history.
NOT_KEPT = gettext_noop("its result and attempts were not kept: the history could not be written for too long")

ALL = (
    DUPLICATE,
    MERGED,
    RETRY_REFUSED,
    BY_OPERATOR,
    BY_HANDLE,
    DISCARDED,
    DRAINED,
    ERASED,
    BEFORE_START,
    REFUSED_BY_HOOK,
    WORKER_STOPS,
    ENGINE_ERROR,
    PACE,
    COMMIT_FAILED,
    RUNS_ELSEWHERE,
    COMMITTED_BEFORE,
    ROW_LOCKED,
    NO_CONNECTION,
    NO_RUNNER,
    UNKNOWN_TASK,
    NOT_UNDERSTOOD,
    STARTED_TOO_OFTEN,
    ASKS_TOO_OFTEN,
    NOT_STORED,
    WAITED_FAILED,
    WAITED_CANCELLED,
    WAITED_EXPIRED,
    NO_FAILURE,
    BATCH_FAILED,
    BATCH_SUCCEEDED,
    BATCH_GONE,
    BY_BATCH,
    GOES_ON,
    SLICE_OVER,
    NOT_KEPT_YET,
    ON_REQUEST,
    ANOTHER_CANCELLED,
    RUN_ON,
    LATER,
    KILLED_WORKER,
    NOT_KEPT,
)


def translated(text: str) -> str:
    """A stored reason or error in the reader's language; what a task or another library said stays as it is."""
    for template, pattern in _patterns():
        if found := pattern.fullmatch(text):
            inner = found.groupdict()
            if "error" in inner:
                inner["error"] = translated(inner["error"])
            return gettext(template) % inner
    return text


def is_late(text: str) -> bool:
    """Whether a worker's trouble is that some of its jobs run on past their time."""
    return text.startswith(RUN_ON.partition("%")[0])


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(template, re.compile(_pattern_of(template), re.DOTALL)) for template in ALL]


def _pattern_of(template: str) -> str:
    return re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.*)", re.escape(template))
