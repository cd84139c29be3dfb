"""Claiming: which jobs of a queue may start now, and how long there is nothing to start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from ...policy import AS_THE_CODE_SAYS, QueueLimits, QueuePolicy
from ..records import ClaimedJob
from .connection import Trip
from .limits import limits_of, read_limits
from .pace import Window, look_at_window, open_window
from .values import id_of, moment_of, tags_of, uuid_of

#: More than any worker asks for: nothing limits the queue.
MOST_SLOTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Room:
    """How many jobs the queue may start now, and for how long not one more. `window`: of its rate limit, if open.

    `laned`: jobs with a lane wait, or tags are paused (`paused_tags`, as stored); `turns`: whose turn it was (see
    turns.py); `has_groups`: some have settings; `limits`: what was set of the queue's at run time.
    """

    slots: int
    wait: float | None = None
    window: Window | None = None
    laned: bool = False
    paused_tags: str = ""
    turns: str = ""
    has_groups: bool = False
    limits: QueueLimits = AS_THE_CODE_SAYS


def look(trip: Trip, policy: QueuePolicy, heads: Iterable[Sequence[Any]]) -> tuple[bool, float | None]:
    """Whether a claim could bring something, and else for how long not; only reads."""
    due, wait = due_of(trip, heads)
    if not due:
        return False, wait
    room = room_of(trip, policy)
    return room.slots > 0, room.wait


def wait_after(room: Room, taken: int, now: datetime) -> float | None:
    """The seconds until one more may start, when this claim took so many; None: nobody knows."""
    window = room.window
    return window.wait(now) if window is not None and taken == window.free else None


def read_heads(trip: Trip, queue: str, alone: bool) -> list[Any]:
    """The first queued job's priority and due time, for each priority."""
    return trip.run("read_alone_heads" if alone else "read_heads", queue=queue)


def due_of(trip: Trip, heads: Iterable[Sequence[Any]]) -> tuple[list[int], float | None]:
    """The priorities that hold a due job, in order, and the seconds until the first job of the others is due."""
    due: list[int] = []
    to_come: list[datetime] = []
    for priority, head in heads:
        if head is None:
            continue
        ready_at = moment_of(head)
        if ready_at <= trip.now:
            due.append(priority)
        else:
            to_come.append(ready_at)
    # a priority has two heads, of jobs with a lane and of those without
    return sorted(set(due), reverse=True), (min(to_come) - trip.now).total_seconds() if to_come else None


def room_of(trip: Trip, policy: QueuePolicy, wanted: int = 0) -> Room:
    """What the queue's pace, pause and global concurrency leave; for a claim of `wanted`, else it only looks.

    On PostgreSQL a claim holds the lock of the queue's row.
    """
    row = trip.run("read_queue", queue=policy.name)[0]
    paused, wait_until, taken = row[:3]
    limits = limits_of(tuple(row[3:7]))
    turns, tags, laned, has_groups = row[-4:]
    policy = limits.over(policy)
    is_laned = bool(laned or tags)
    room = Room(0, laned=is_laned, paused_tags=tags, turns=turns, has_groups=bool(has_groups), limits=limits)
    if paused:
        return room
    if wait_until is not None and moment_of(wait_until) > trip.now:
        return replace(room, wait=(moment_of(wait_until) - trip.now).total_seconds())
    slots, window = MOST_SLOTS, None
    if policy.rate_limit is not None and not wanted:
        free, wait = look_at_window(trip, policy.name, policy.rate_limit, taken)
        if not free:
            return replace(room, wait=wait)
    elif policy.rate_limit is not None:
        most = wanted * max((bulk.most for bulk in policy.bulks.values()), default=1)
        window = open_window(trip, policy.name, policy.rate_limit, taken, most)
        slots = window.free
        if not slots:
            return replace(room, wait=window.wait(trip.now), window=window)
    if policy.global_concurrency is not None:
        most = policy.global_concurrency
        slots = min(slots, most - trip.run("count_active", queue=policy.name, most=most)[0][0])
    return replace(room, slots=max(0, slots), window=window)


def policy_held(trip: Trip, policy: QueuePolicy) -> QueuePolicy:
    """The policy with what was set of its limits at run time."""
    return read_limits(trip, policy.name).over(policy)


def start_order(job: ClaimedJob) -> tuple[int, datetime, UUID]:
    """What jobs that were claimed together are sorted by (G5)."""
    return -job.priority, job.ready_at, job.id


def claimed_job(row: Sequence[Any], queue: str, now: datetime, monotonic: float) -> ClaimedJob:
    """The job of a claim's row; `monotonic` is this process's clock at, or a little before, the broker's `now`."""
    (
        id, run, task, message, priority, token, attempts, starts, lost, ready_at, key, expires_at, unknown_since,
        event, event_id, about_type, about_id, scope, group, tags,
    ) = row  # fmt: skip
    return ClaimedJob(
        id=id_of(id),
        run=run,
        queue=queue,
        task=task,
        message=message,
        priority=priority,
        token=str(token),
        attempts=attempts,
        starts=starts,
        lost=lost,
        ready_at=moment_of(ready_at),
        claimed_at=now,
        key=key,
        expires_at=None if expires_at is None else moment_of(expires_at),
        unknown_since=None if unknown_since is None else moment_of(unknown_since),
        event=event,
        event_id=uuid_of(event_id),
        about=(about_type, about_id) if about_type else None,
        scope=scope,
        group=group,
        tags=tags_of(tags),
        claimed_monotonic=monotonic,
    )
