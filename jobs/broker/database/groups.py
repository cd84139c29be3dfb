"""What the groups of a queue may start: their settings, their concurrency and their rate, as one claim finds them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from ... import clock
from ...policy import QueuePolicy, RateLimit
from ..guard import Guard
from ..lanes import GroupSettings, group_of
from ..records import ClaimedJob
from .connection import Trip
from .pace import as_restarted, is_to_come, restart_grants
from .rooms import Rooms
from .values import moment_of, text_of

#: More than any worker asks for: nothing limits the group.
UNBOUNDED = 1_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one group; `until`: it is told to wait."""

    paused: bool = False
    until: datetime | None = None
    concurrency: int | None = None
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class GroupStamp:
    """Grants that are written down, and what `clock.monotonic()` showed then or a little before.

    `grants`: by group; `of_limits`: those of the limits of each job that has some.
    """

    grants: dict[str, int]
    monotonic: float
    of_limits: dict[UUID, tuple[int, ...]]


class Groups:
    """The groups of a queue in one claim, under the queue's lock: how many jobs each may still start.

    `has_settings`: some group of the queue has its own. Jobs without a group, of the name "", have no rules. With
    `only_looks` nothing is locked or written.
    """

    def __init__(self, trip: Trip, policy: QueuePolicy, *, has_settings: bool, only_looks: bool = False) -> None:
        self.rooms = Rooms(trip, policy, only_looks=only_looks)
        self._only_looks = only_looks
        self._trip = trip
        self._queue = policy.name
        self._of_queue = Rules(concurrency=policy.groups.concurrency, rate_limit=policy.groups.rate_limit)
        self._has_settings = has_settings
        self._rules: dict[str, Rules] = {}
        self._rooms: dict[str, int] = {}
        self._free_at: dict[str, datetime] = {}
        self._active: Counter[str] | None = None
        #: when the first of those that were passed over may start something; None: nobody knows
        self.blocked_until: datetime | None = None

    def look(self, names: Iterable[str]) -> None:
        """Learn what these groups may start."""
        new = sorted({name for name in names if name and name not in self._rooms})
        if not new:
            return
        self._rules |= dict.fromkeys(new, self._of_queue)
        if self._has_settings:
            self._read_settings(new)
        self._rooms |= {name: self._room_of_rules(self._rules[name], name) for name in new}
        self._take_grants([name for name in new if self._rooms[name] and self._rules[name].rate_limit is not None])

    def room(self, name: str) -> int:
        """How many more jobs the group may start."""
        return self._rooms[name] if name else UNBOUNDED

    def rules(self, name: str) -> Rules:
        """What holds for a group that was looked at."""
        return self._rules[name]

    def active(self, name: str) -> int:
        """How many jobs of the group are active."""
        if self._active is None:
            self._active = Counter()
            for lane, number in self._trip.run("read_active_lanes", queue=self._queue):
                self._active[group_of(lane)] += number
        return self._active[name]

    def take(self, name: str, number: int = 1) -> None:
        """One of its jobs starts; -1: it does not."""
        if name:
            self._rooms[name] -= number

    def pass_over(self, name: str) -> None:
        """Note when a group without room may start something."""
        until = self._free_at.get(name) or self._rules[name].until
        if until is None and (rate := self._rules[name].rate_limit) is not None and not self._rules[name].paused:
            # what it has started in this claim
            until = self._trip.now + timedelta(seconds=rate.per)
        if until is not None:
            self.blocked_until = min(until, self.blocked_until or until)

    def save(self, jobs: Sequence[ClaimedJob], guard: Guard) -> GroupStamp | None:
        """Write down what groups with a rate, and limits, have started, at the latest moment before the commit."""
        started = Counter(job.group for job in jobs if job.group and self._rate_of(job.group) is not None)
        trip, monotonic = self._trip, clock.monotonic()
        given = self.rooms.save(jobs, guard)
        if not started and not given:
            return None
        of_limits = {job.id: ones for job in jobs if (ones := self.rooms.grants_of(job, given))}
        grants: dict[str, int] = {}
        for name, number in sorted(started.items()):
            subject, per = subject_of(name), self._per_of(name)
            before = trip.parameter(trip.now - timedelta(seconds=per))
            trip.change("end_group_grants", queue=self._queue, subject=subject, before=before)
            now = clock.now()
            ((grants[name],),) = trip.run(
                "insert_grant",
                queue=self._queue,
                subject=subject,
                number=number,
                guard=guard.seconds,
                granted_at=text_of(now),
                start_by=text_of(now + timedelta(seconds=guard.seconds)),
            )
        return GroupStamp(grants, monotonic, of_limits)

    def _rate_of(self, name: str) -> RateLimit | None:
        return self._rules[name].rate_limit if name in self._rules else None

    def _per_of(self, name: str) -> float:
        rate = self._rate_of(name)
        return rate.per if rate else 0.0

    def _read_settings(self, names: Sequence[str]) -> None:
        over = False
        for row in self._trip.run("read_group_states", queue=self._queue, names=json.dumps(names)):
            name, paused, wait_until, concurrency, limit, per = row
            until = None if wait_until is None else moment_of(wait_until)
            if until is not None and until <= self._trip.now:
                until, over = None, True
            rate = RateLimit(limit, per) if limit else self._of_queue.rate_limit
            self._rules[name] = Rules(bool(paused), until, concurrency or self._of_queue.concurrency, rate)
        if over and not self._only_looks:
            self._trip.change("end_group_waits", queue=self._queue, now=self._trip.text_now)

    def _room_of_rules(self, rules: Rules, name: str) -> int:
        if rules.paused or rules.until is not None:
            return 0
        if rules.concurrency is None:
            return UNBOUNDED
        return max(0, rules.concurrency - self.active(name))

    def _take_grants(self, names: Sequence[str], *, again: bool = False) -> None:
        """Take off what was started in the windows of these groups."""
        if not names:
            return
        now = self._trip.now
        longest = timedelta(seconds=max(map(self._per_of, names)))
        found = self._trip.run(
            "read_group_grants",
            queue=self._queue,
            subjects=json.dumps([subject_of(name) for name in names]),
            since=self._trip.parameter(now - longest),
        )
        if self._only_looks:
            found = as_restarted(found, now)
        elif not again and any(is_to_come(moment_of(granted_at), now) for *_, granted_at in found):
            restart_grants(self._trip, self._queue)
            self._take_grants(names, again=True)
            return
        windows: defaultdict[str, list[tuple[datetime, int]]] = defaultdict(list)
        for subject, number, start_by, _ in found:
            windows[subject[1:]].append((moment_of(start_by), number))
        for name in names:
            self._take_window(name, windows[name])

    def _take_window(self, name: str, grants: Sequence[tuple[datetime, int]]) -> None:
        rate = self._rate_of(name)
        if rate is None:
            return
        per = timedelta(seconds=rate.per)
        counted = [(start_by + per, number) for start_by, number in grants if start_by + per > self._trip.now]
        taken = sum(number for _, number in counted)
        self._rooms[name] = min(self._rooms[name], max(0, rate.limit - taken))
        for ends_at, number in counted:
            taken -= number
            self._free_at.setdefault(name, ends_at)
            if taken < rate.limit:
                self._free_at[name] = ends_at
                break


def granted(jobs: Sequence[ClaimedJob], stamp: GroupStamp, guard: Guard) -> tuple[ClaimedJob, ...]:
    """The jobs of a claim that has just committed: those with such a grant are told until when they must start."""
    start_by = stamp.monotonic + guard.seconds
    guard.learn(clock.monotonic() - stamp.monotonic)
    limited = []
    for job in jobs:
        of_group = (stamp.grants[job.group],) if job.group in stamp.grants else ()
        if grants := of_group + stamp.of_limits.get(job.id, ()):
            job = replace(job, start_by=min(start_by, job.start_by or start_by), other_grants=grants)
        limited.append(job)
    return tuple(limited)


def subject_of(group: str) -> str:
    """What a group's grants are known by."""
    return f"g{group}"


def delay_groups(trip: Trip, queue: str, delays: Collection[tuple[str, float]]) -> None:
    """Let groups of a queue start nothing for so many seconds."""
    for name, seconds in sorted(delays):
        until = text_of(trip.now + timedelta(seconds=seconds))
        trip.change("delay_group", queue=queue, name=name, until=until, now=text_of(trip.now))


def set_group(trip: Trip, queue: str, group: str, settings: GroupSettings, *, ends_wait: bool) -> None:
    """Let this hold for one group; the default settings remove all there is."""
    if settings == GroupSettings():
        trip.change("drop_group", queue=queue, name=group)
        return
    rate = settings.rate_limit
    values: dict[str, Any] = {
        "queue": queue,
        "name": group,
        "paused": settings.paused,
        "ends_wait": ends_wait,
        "concurrency": settings.concurrency,
        "rate_limit": rate and rate.limit,
        "rate_per": rate and rate.per,
        "now": trip.text_now,
    }
    trip.change("set_group", **values)
