"""How ids and moments stand in the database, and when a new job is due.

On SQLite moments are stored as Django's ORM reads and compares them, but always with six digits of microseconds: text
sorts as time does only when all of it has one length.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ...states import State
from ..records import FoundJob, NewJob

#: What is left out of the text of a moment.
_UTC = "+00:00"
#: Characters of the column that holds it.
MAX_REASON = 250


def ready_at(job: NewJob, now: datetime) -> datetime:
    """When a job that the store takes at `now` is due."""
    if job.at is not None:
        return job.ready_at or max(job.at, now)
    return job.ready_at or now + timedelta(seconds=job.delay)


def timed_at(job: NewJob, now: datetime) -> datetime | None:
    """From which moment the due time of a job is counted that the store takes at `now`; None: it was asked for."""
    return None if job.at is not None and job.at > now else now


def expires_at(job: NewJob, now: datetime) -> datetime | None:
    """When a job that the store takes at `now` expires."""
    if job.expires_at is not None or job.expires_in is None:
        return job.expires_at
    return now + timedelta(seconds=job.expires_in)


def text_of(moment: datetime) -> str:
    """An aware moment as SQLite holds it."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds").removesuffix(_UTC)


def moment_of(value: str | datetime) -> datetime:
    """A stored moment, aware; for SQLite Django hands out a naive datetime where others hand out text."""
    if isinstance(value, str):
        return datetime.fromisoformat(value + _UTC)
    return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)


def text_of_tags(tags: Sequence[str]) -> str:
    """Tags as they are stored; empty without any."""
    return json.dumps(tags, ensure_ascii=False) if tags else ""


def tags_of(text: str) -> tuple[str, ...]:
    """Stored tags."""
    return tuple(json.loads(text)) if text else ()


def with_tag(text: str, tag: str, *, paused: bool) -> str:
    """A queue's stored paused tags, sorted, with one more, or without it."""
    others = {*tags_of(text)} - {tag}
    return text_of_tags(sorted({*others, tag} if paused else others))


def uuid_of(value: str | UUID | None) -> UUID | None:
    """A stored id, or none."""
    return None if value is None else id_of(value)


def id_of(value: str | UUID) -> UUID:
    """A stored id; SQLite holds the hexadecimal digits."""
    return UUID(value) if isinstance(value, str) else value


def found_job(row: Sequence[Any]) -> FoundJob:
    """The job of a row."""
    id, run, queue, task, state, message, priority, ready, attempts, starts, lost, key, expires, *rest = row
    cancel_requested, scope, group, tags = rest
    return FoundJob(
        id=id_of(id),
        run=run,
        queue=queue,
        task=task,
        state=State(state),
        message=message,
        priority=priority,
        ready_at=moment_of(ready),
        attempts=attempts,
        starts=starts,
        lost=lost,
        key=key,
        expires_at=None if expires is None else moment_of(expires),
        cancel_requested=bool(cancel_requested),
        scope=scope,
        group=group,
        tags=tags_of(tags),
    )
