"""A live job as Redis holds it, and what a worker tells of a start that it settles."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID

import msgspec

from .moments import moment


class Head(msgspec.Struct, array_like=True, frozen=True):
    """What the scripts read and change of a live job, in the order of `FIELDS` in `lua/parts/record.lua`.

    False stands for none; `ready` and `timed` count from `created`.
    """

    run: int
    priority: int
    created: int
    ready: int
    timed: int | bool
    expires: int | bool
    key: str | bool
    attempts: int
    starts: int
    lost: int
    unknown: int | bool
    row: bool | None = None
    behind: bool | None = None
    awaited: bool | None = None
    lane: str = ""


class Told(msgspec.Struct, array_like=True, frozen=True):
    """What else is told of a job; empty ones at the end are left out."""

    task: str
    message: str
    scope: str = ""
    event: str = ""
    event_id: bytes = b""
    parent: bytes = b""
    about_type: str = ""
    about_id: str = ""
    group: str = ""
    tags: str = ""


class Record(msgspec.Struct, array_like=True, frozen=True):
    """A live job as Redis holds it."""

    head: Head
    told: Told

    @property
    def key(self) -> str | None:
        """The key that the job holds."""
        return self.head.key if isinstance(self.head.key, str) else None

    @property
    def ready_at(self) -> datetime:
        """When the job is or was due."""
        return moment(self.head.created + self.head.ready)

    @property
    def timed_at(self) -> datetime | None:
        """When that was set; None: it was asked for as a time."""
        timed = self.head.timed
        return None if timed is False else moment(self.head.created + timed)

    @property
    def about(self) -> tuple[str, str] | None:
        """What the job is about."""
        return (self.told.about_type, self.told.about_id) if self.told.about_type else None

    @property
    def event_id(self) -> UUID | None:
        """The event that the job follows."""
        return UUID(bytes=self.told.event_id) if self.told.event_id else None

    @property
    def parent_id(self) -> UUID | None:
        """The job that enqueued it."""
        return UUID(bytes=self.told.parent) if self.told.parent else None

    @property
    def tags(self) -> tuple[str, ...]:
        """The job's tags."""
        return tuple(json.loads(self.told.tags)) if self.told.tags else ()


class Said(msgspec.Struct, array_like=True, frozen=True):
    """What a worker tells the history of a start that it settles; `outcome` is the name of its class in `records`."""

    outcome: str
    burns: int
    claim: int
    claimed_at: int
    started_at: int | None
    ended_at: int | None
    error: str = ""
    traceback: str = ""
    reason: str = ""
    result: str | None = None


class Heard(Said, array_like=True, frozen=True):
    """The same with what only a failure tells at its end: the release that it happened in, if there is one."""

    release: str = ""


read_record = msgspec.msgpack.Decoder(Record).decode
