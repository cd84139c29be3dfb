"""Log lines as JSON, one object each: with the job that was at work, its event, and the request that caused it."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from .broker.records import ClaimedJob
from .define.context import job_here
from .origin import META_KEY, REQUEST_ID, origin_of, request_id
from .tracing import trace_id
from .visible import visible, visible_json

_FIELD = re.compile(r"(\w+)=%[.\d]*[sdfr]")
#: What a line of the engine's calls otherwise than these objects do, or tells in the job's own fields.
_NAMES = {"id": "job"}


class LoggedJob:
    """The job that a log line is about; what it shows has no arguments."""

    __slots__ = ("_job",)

    def __init__(self, job: ClaimedJob) -> None:
        self._job = job

    def __str__(self) -> str:
        return str(self._job.id)

    __repr__ = __str__

    def fields(self) -> dict[str, Any]:
        """What the line says of it."""
        job = self._job
        found = {
            "job": str(job.id),
            "queue": job.queue,
            "task": job.task,
            "attempt": job.attempts + 1,
            "event": job.event,
        }
        found["event_id"] = str(job.event_id) if job.event_id else ""
        found["request_id"] = origin_of(job.message).request_id
        return {name: value for name, value in found.items() if value}


def about(job: ClaimedJob) -> dict[str, LoggedJob] | None:
    """What a log line that is about a job is given beside its text, where somebody reads it."""
    return {"job": LoggedJob(job)} if JsonFormatter.is_used else None


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message; job, attempt, queue, task, event, event_id, request_id.

    The values that a line of the engine names (`delay=2.0`) are fields as well. None of them is an argument of a job.
    """

    #: whether one was made in this process
    is_used = False

    def __init__(self) -> None:
        super().__init__()
        JsonFormatter.is_used = True

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": visible(record.getMessage()),
        }
        logged = getattr(record, "job", None)
        here = job_here()
        if not isinstance(logged, LoggedJob) and here is not None:
            logged = LoggedJob(here.claimed)
        line |= logged.fields() if isinstance(logged, LoggedJob) else {}
        for name, value in _named(record).items():
            line.setdefault(_NAMES.get(name, name), value)
        for name, value in (("request_id", request_id() or _id_of_request(record)), ("trace_id", trace_id())):
            if value:
                line.setdefault(name, value)
        if record.exc_info:
            line["traceback"] = visible(self.formatException(record.exc_info), keep="\n\t")
        if record.stack_info:
            line["stack"] = visible(record.stack_info, keep="\n\t")
        return visible_json(json.dumps(line, ensure_ascii=False, default=str))


def _id_of_request(record: logging.LogRecord) -> str:
    """That of the request that Django's own line is about."""
    found = getattr(getattr(record, "request", None), "META", {}).get(META_KEY, "")
    return found if REQUEST_ID.match(found) else ""


def _named(record: logging.LogRecord) -> dict[str, Any]:
    """The values that the engine's own lines name."""
    if record.name.partition(".")[0] != "jobs" or not (isinstance(record.args, tuple) and isinstance(record.msg, str)):
        return {}
    names = [_FIELD.match(record.msg, found.start()) for found in re.finditer(r"\w+=%", record.msg)]
    if len(names) != record.msg.count("%") or len(names) != len(record.args):
        return {}
    return {
        # JSON has no word for NaN and infinity
        found[1]: value
        if isinstance(value, (str, int)) or (isinstance(value, float) and isfinite(value))
        else str(value)
        for found, value in zip(names, record.args, strict=True)
        if found is not None
    }
