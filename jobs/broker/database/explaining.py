"""Where a queued job stands among the others of its queue: what a claim reads, in one snapshot, without its locks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ...policy import Limit, QueueLimits, QueuePolicy, RateLimit
from ..lanes import group_of, tag_of, task_of
from ..standing import MOST_AHEAD, MOST_ENDS, Bulked, GroupStanding, Hands, Pace, Standing, hands_of, turns_before
from .claim import due_of, read_heads
from .connection import JobsDatabase, Trip
from .groups import Groups, subject_of
from .limits import limits_of
from .pace import as_restarted
from .reach import reaching
from .rooms import NO_QUEUE
from .rooms import subject_of as subject_of_limit
from .turns import LONGEST_PAGE, MOST_ALONE
from .values import moment_of, tags_of

#: Behind every job of one moment.
LAST_ID = UUID(int=2**128 - 1)
#: The lanes of one priority that are looked at; of more the number of jobs ahead is only "at least".
MOST_LANES = 10_000


class Explaining:
    """The broker's part in it."""

    _database: JobsDatabase

    @reaching
    def explain(self, policy: QueuePolicy, job_id: UUID) -> Standing | None:
        """Where a queued job stands; see the contract."""
        own = not self._database.in_callers_transaction
        with self._database.read() as trip, _snapshot(trip) if own else nullcontext():
            return standing_of(trip, policy, job_id)

    @reaching
    def pace_of(self, limit: Limit) -> Pace:
        """How a limit stands that queues share."""
        with self._database.read() as trip:
            return _pace_of_limit(trip, limit)

    @reaching
    def pace_of_queue(self, queue: str, rate: RateLimit) -> Pace:
        """How the queue's own rate limit stands."""
        with self._database.read() as trip:
            ((_paused, _until, taken, *_rest),) = trip.run("read_queue", queue=queue)
            # without a number of taken slots nothing of what was granted counts
            return Pace(rate, 0) if taken is None else _pace(trip, queue, "", rate)


@contextmanager
def _snapshot(trip: Trip) -> Iterator[None]:
    trip.run("begin_snapshot")
    try:
        yield
    finally:
        trip.run("end_snapshot")


def standing_of(trip: Trip, policy: QueuePolicy, job_id: UUID) -> Standing | None:
    """Where the job stands; None: it is not queued."""
    found = trip.run("read_standing", queue=policy.name, id=job_id.hex)
    if not found:
        return None
    priority, ready_at, expires_at, lane, alone, tags, paused_tags, elsewhere, paused, until, taken, *rest = found[0]
    limits, (turns, has_groups, alone_runs) = limits_of(tuple(rest[:4])), rest[4:]
    policy = limits.over(policy)
    ready_at, now, most = moment_of(ready_at), trip.now, policy.global_concurrency
    # one that is not due yet is taken for due from now on: behind all that are
    place = _Place(priority, *((ready_at, job_id) if ready_at <= now else (now, LAST_ID)))
    closed = frozenset(tags_of(paused_tags))
    own_tags = tuple(tag for tag in tags_of(tags) if tag in closed)
    line = _Line(trip, policy, lane, place, bool(has_groups), turns, closed - {*own_tags})
    ahead, in_group = line.count_alone() if alone else line.count()
    return Standing(
        now=now,
        ready_at=ready_at,
        expires_at=None if expires_at is None else moment_of(expires_at),
        alone=bool(alone),
        elsewhere=bool(elsewhere),
        paused=bool(paused),
        until=None if until is None else moment_of(until),
        # without a number of taken slots nothing of what was granted counts
        pace=_pace_or_none(trip, policy.name, "", policy.rate_limit, counts=taken is not None),
        active=0 if most is None else trip.run("count_active", queue=policy.name, most=most)[0][0],
        most=most,
        group=line.group(),
        limits=tuple(_pace_of_limit(trip, one) for one in line.limits),
        tags=own_tags,
        bulk=None if alone else line.bulk(is_due=ready_at <= now),
        breakers=line.open_breakers(task_of(lane)),
        hands=_hands(trip, policy.name, limits),
        alone_runs=bool(alone_runs),
        ahead=min(ahead, MOST_AHEAD),
        ahead_in_group=min(in_group, MOST_AHEAD),
        is_more=ahead > MOST_AHEAD,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a job stands in its lane."""

    priority: int
    ready_at: datetime
    id: UUID


@dataclass(slots=True)
class _Line:
    """Those that may start before a job; its own group and its own limits are taken for free.

    `closed`: the paused tags that it has not.
    """

    trip: Trip
    policy: QueuePolicy
    lane: str
    place: _Place
    has_settings: bool
    turns: str
    closed: frozenset[str]
    groups: Groups = field(init=False)

    def __post_init__(self) -> None:
        self.groups = Groups(self.trip, self.policy, has_settings=self.has_settings, only_looks=True)
        self.groups.look([self.name])

    @property
    def name(self) -> str:
        """The job's group."""
        return group_of(self.lane)

    @property
    def limits(self) -> Sequence[Limit]:
        """The limits that the job shares with others."""
        return self.policy.limits.get(task_of(self.lane), ())

    def open_breakers(self, task: str) -> tuple[str, ...]:
        """Those of a task that hold its jobs back."""
        return tuple(name for name in self.policy.breakers.get(task, ()) if self.policy.rooms.get(name) == 0)

    def group(self) -> GroupStanding | None:
        """What holds for its group; None: it has none."""
        if not self.name:
            return None
        rules = self.groups.rules(self.name)
        rate, bound = rules.rate_limit, rules.concurrency
        return GroupStanding(
            self.name,
            rules.paused,
            rules.until,
            bound,
            0 if bound is None else self.groups.active(self.name),
            _pace_or_none(self.trip, self.policy.name, subject_of(self.name), rate),
        )

    def count(self) -> tuple[int, int]:
        """How many start before it, and how many of these are of its own group; more than are counted, at most."""
        ahead = 0
        due, _ = due_of(self.trip, read_heads(self.trip, self.policy.name, False))
        behind_all = self.trip.now, LAST_ID
        for priority in (one for one in due if one > self.place.priority):
            for number in self._each_group(priority, *behind_all, MOST_AHEAD + 1).values():
                ahead += number
                if ahead > MOST_AHEAD:
                    return ahead, 0
        place, priority = (self.place.ready_at, self.place.id), self.place.priority
        lanes = self._due_lanes(priority)
        mine = [lane for lane in lanes if group_of(lane) == self.name and self._may_start(lane)]
        numbers = self._in_lanes(priority, mine, *place, MOST_AHEAD + 1)
        if (rule := self.policy.bulks.get(task_of(self.lane))) is not None and self.lane in numbers:
            # those that start together with it are not ahead of it
            numbers[self.lane] -= numbers[self.lane] % rule.most
        own = sum(numbers.values())
        if not self.name:
            own += self._plain(priority, *place, MOST_AHEAD + 1)
        if own > MOST_AHEAD:
            return ahead + own, own
        others = self._each_group(priority, *behind_all, own + 1, lanes)
        cursor: str | None = json.loads(self.turns or "{}").get(str(priority))
        before = [(_turn(name, cursor) < _turn(self.name, cursor), number) for name, number in others.items()]
        return ahead + turns_before(own, before) + (MOST_AHEAD if len(lanes) >= MOST_LANES else 0), own

    def bulk(self, *, is_due: bool) -> Bulked | None:
        """How its lane stands, of a task whose jobs start in bulk; None: of another one."""
        rule, priority = self.policy.bulks.get(task_of(self.lane)), self.place.priority
        if rule is None:
            return None
        lanes, now = json.dumps([self.lane]), self.trip.parameter(self.trip.now)
        first = self.trip.run("read_lanes", queue=self.policy.name, priority=priority, lanes=lanes, most=1, now=now)
        ready_at = moment_of(first[0][2]) if first else self.trip.now
        due = self._in_lanes(priority, [self.lane], self.trip.now, LAST_ID, rule.least).get(self.lane, 0)
        return Bulked(due + (not is_due), rule.least, ready_at + timedelta(seconds=rule.wait))

    def count_alone(self) -> tuple[int, int]:
        """The same among those that must run alone: they take no turns."""
        values = {"queue": self.policy.name, "now": self.trip.parameter(self.trip.now), "most": MOST_ALONE + 1}
        place = {"priority": self.place.priority, "ready_at": self.trip.parameter(self.place.ready_at)}
        found = self.trip.run("read_alone_before", **values, **place, id=self.place.id.hex)
        lanes = [lane for (lane,) in found]
        self.groups.look(group_of(lane) for lane in lanes)
        before = [lane for lane in lanes if self._may_start(lane)]
        return len(before), sum(group_of(lane) == self.name for lane in before)

    def _each_group(
        self, priority: int, ready_at: datetime, id: UUID, most: int, lanes: Sequence[str] | None = None
    ) -> dict[str, int]:
        """How many due jobs of one priority each other group may start; of a higher one than the job's, its own too."""
        is_higher = lanes is None
        lanes = self._due_lanes(priority) if lanes is None else lanes
        self.groups.look(group_of(lane) for lane in lanes)
        asked = [lane for lane in lanes if (is_higher or group_of(lane) != self.name) and self._may_start(lane)]
        numbers = Counter[str]()
        for lane, number in self._in_lanes(priority, asked, ready_at, id, most).items():
            numbers[group_of(lane)] += number
        if is_higher or self.name:
            numbers[""] += self._plain(priority, ready_at, id, most)
        return numbers

    def _may_start(self, lane: str) -> bool:
        name, task, mine = group_of(lane), task_of(lane), {one.name for one in self.limits}
        limits = self.policy.limits.get(task, ())
        full = self.groups.rooms.full() if limits else frozenset()
        has_room = all(one.name in mine or one.name not in full for one in limits)
        mine |= set(self.open_breakers(task_of(self.lane)))
        has_room = has_room and mine.issuperset(self.open_breakers(task))
        has_room = has_room and tag_of(lane) not in self.closed
        return has_room and (name == self.name or self.groups.room(name) > 0)

    def _due_lanes(self, priority: int) -> list[str]:
        found: list[str] = []
        after, passed = "", 0
        while passed < MOST_LANES:
            page = self.trip.run(
                "scan_lanes", queue=self.policy.name, priority=priority, after=after, most=LONGEST_PAGE,
                now=self.trip.parameter(self.trip.now),
            )  # fmt: skip
            found += [lane for lane, ready_at in page if moment_of(ready_at) <= self.trip.now]
            if len(page) < LONGEST_PAGE:
                break
            after, passed = page[-1][0], passed + len(page)
        return found

    def _in_lanes(self, priority: int, lanes: Sequence[str], ready_at: datetime, id: UUID, most: int) -> dict[str, int]:
        if not lanes:
            return {}
        values = {"queue": self.policy.name, "priority": priority, "lanes": json.dumps(lanes), "most": most}
        return dict(self.trip.run("count_lanes_before", **values, **self._until(ready_at, id)))

    def _plain(self, priority: int, ready_at: datetime, id: UUID, most: int) -> int:
        values = {"queue": self.policy.name, "priority": priority, "most": most}
        return int(self.trip.run("count_plain_before", **values, **self._until(ready_at, id))[0][0])

    def _until(self, ready_at: datetime, id: UUID) -> dict[str, Any]:
        now = self.trip.parameter(self.trip.now)
        return {"ready_at": self.trip.parameter(ready_at), "id": id.hex, "now": now}


def _turn(name: str, cursor: str | None) -> tuple[bool, str]:
    """Where a group's turn comes: first those behind the one that was served last."""
    return cursor is not None and name <= cursor, name


def _pace_of_limit(trip: Trip, limit: Limit) -> Pace:
    return _pace(trip, NO_QUEUE, subject_of_limit(limit.name), limit.rate_limit, name=limit.name)


def _pace_or_none(trip: Trip, queue: str, subject: str, rate: RateLimit | None, *, counts: bool = True) -> Pace | None:
    if rate is None:
        return None
    return _pace(trip, queue, subject, rate) if counts else Pace(rate, 0)


def _pace(trip: Trip, queue: str, subject: str, rate: RateLimit, *, name: str = "") -> Pace:
    per, subjects = timedelta(seconds=rate.per), json.dumps([subject])
    since = trip.parameter(trip.now - per)
    found = as_restarted(trip.run("read_group_grants", queue=queue, subjects=subjects, since=since), trip.now)
    counted = [(start_by + per, number) for _, number, start_by, _ in found if start_by + per > trip.now]
    ends: list[datetime] = []
    for end, number in counted:
        ends += [end] * min(number, MOST_ENDS - len(ends))
    return Pace(rate, sum(number for _, number in counted), tuple(ends), name)


def _hands(trip: Trip, queue: str, limits: QueueLimits) -> Hands:
    threads = limits.concurrency
    found = trip.run("read_hands", queue=queue, now=trip.parameter(trip.now))
    return hands_of((threads if isinstance(threads, int) else own, held, bool(paused)) for own, held, paused in found)
