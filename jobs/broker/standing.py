"""Where a job stands that waits for its start, and what keeps it from being the next: below all brokers.

A broker reads a `Standing` in one snapshot, of all that its claim reads; `hindrances` are the claim's rules over it.
What holds the job itself up is taken for removed where its place is counted: so many start before it once nothing else
is in its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ..policy import RateLimit

#: Where the jobs ahead stop being counted: people read "1,000+".
MOST_AHEAD = 1_000
#: How many of the grants of a rate limit are read: a little more than the starts of so many jobs end.
MOST_ENDS = 1_100


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate limit as it stands: how many starts of its period count, and when the first of these are over.

    `ends` holds one moment a start, in order, some at most; `name` is that of a limit that queues share, else empty.
    """

    rate: RateLimit
    taken: int
    ends: tuple[datetime, ...] = ()
    name: str = ""

    @property
    def has_room(self) -> bool:
        """Whether one more may start now."""
        return self.taken < self.rate.limit

    @property
    def frees_at(self) -> datetime | None:
        """When one more may start; None: now, or nobody knows."""
        index = self.taken - self.rate.limit
        return self.ends[index] if 0 <= index < len(self.ends) else None


@dataclass(frozen=True, slots=True)
class GroupStanding:
    """What holds for the job's group; `until`: told to wait. `concurrency` None: no bound, then nothing is counted."""

    name: str
    paused: bool = False
    until: datetime | None = None
    concurrency: int | None = None
    active: int = 0
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class Hands:
    """The worker processes of the queue that hold a lease: how many, and how many jobs they take at once.

    `paused`: how many of them take none. `slots` and `busy` are those of the others; of all, where all are paused.
    """

    workers: int = 0
    paused: int = 0
    slots: int = 0
    busy: int = 0


@dataclass(frozen=True, slots=True)
class Bulked:
    """How many jobs of its lane are due, of a task whose jobs start in bulk, and when these start in any case."""

    due: int
    least: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """A queued job among the others, at `now` by its broker's clock.

    `elsewhere`: another broker keeps the queue. `until`: the queue is told to wait. `mending`: until when it is mended
    after a loss. `behind`: the job that holds its key, where it waits for its end. `pace`, `active` and `most` are the
    queue's rate and global concurrency. `breakers` and `tags`: those of the job that are open, or paused. `ahead`: how
    many would start before it, `ahead_in_group` of these from its own group; `is_more`: more than are counted.
    """

    now: datetime
    ready_at: datetime
    expires_at: datetime | None = None
    alone: bool = False
    elsewhere: bool = False
    paused: bool = False
    until: datetime | None = None
    mending: datetime | None = None
    behind: UUID | None = None
    pace: Pace | None = None
    active: int = 0
    most: int | None = None
    group: GroupStanding | None = None
    limits: tuple[Pace, ...] = ()
    breakers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    bulk: Bulked | None = None
    hands: Hands = Hands()
    alone_runs: bool = False
    ahead: int = 0
    ahead_in_group: int = 0
    is_more: bool = False


class Hindrance(StrEnum):
    """What keeps a queued job from being the next to start."""

    EXPIRED = "expired"
    ELSEWHERE = "elsewhere"
    MENDING = "mending"
    PAUSED = "paused"
    TOLD_TO_WAIT = "told_to_wait"
    SCHEDULED = "scheduled"
    BEHIND = "behind"
    GROUP_PAUSED = "group_paused"
    GROUP_TOLD_TO_WAIT = "group_told_to_wait"
    NO_WORKER = "no_worker"
    WORKERS_PAUSED = "workers_paused"
    RATE_LIMIT = "rate_limit"
    CONCURRENCY = "concurrency"
    GROUP_CONCURRENCY = "group_concurrency"
    GROUP_RATE_LIMIT = "group_rate_limit"
    LIMIT = "limit"
    BREAKER = "breaker"
    TAG_PAUSED = "tag_paused"
    BULK = "bulk"
    ALONE_RUNS = "alone_runs"
    BUSY = "busy"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Found:
    """A hindrance with its numbers: until when, how many of how many, the rate, whose name, which job."""

    code: Hindrance
    until: datetime | None = None
    number: int | None = None
    of: int | None = None
    is_more: bool = False
    rate: RateLimit | None = None
    name: str = ""
    job: UUID | None = None


def hindrances(seen: Standing) -> tuple[Found, ...]:
    """All that must be removed before the job is the next to start, and nothing else."""
    if seen.expires_at is not None and seen.expires_at <= seen.now:
        return (Found(Hindrance.EXPIRED, seen.expires_at),)
    return tuple(_found(seen))


def _found(seen: Standing) -> Iterator[Found]:
    yield from _of_queue(seen)
    if seen.ready_at > seen.now:
        yield Found(Hindrance.SCHEDULED, seen.ready_at)
    if seen.behind is not None:
        yield Found(Hindrance.BEHIND, job=seen.behind)
    if seen.group is not None:
        yield from _of_group(seen.group, seen.now)
    for pace in seen.limits:
        if not pace.has_room:
            yield _of_pace(Hindrance.LIMIT, pace, pace.name)
    for name in seen.breakers:
        yield Found(Hindrance.BREAKER, name=name)
    for tag in seen.tags:
        yield Found(Hindrance.TAG_PAUSED, name=tag)
    if seen.bulk is not None and seen.bulk.due < seen.bulk.least and seen.bulk.until > seen.now:
        yield Found(Hindrance.BULK, seen.bulk.until, number=seen.bulk.due, of=seen.bulk.least)
    yield from _of_hands(seen)
    if seen.ahead:
        yield Found(Hindrance.AHEAD, number=seen.ahead, is_more=seen.is_more)


def _of_queue(seen: Standing) -> Iterator[Found]:
    if seen.elsewhere:
        yield Found(Hindrance.ELSEWHERE)
    if seen.mending is not None and seen.mending > seen.now:
        yield Found(Hindrance.MENDING, seen.mending)
    if seen.paused:
        # to resume it ends what a provider asked for as well
        yield Found(Hindrance.PAUSED)
    elif seen.until is not None and seen.until > seen.now:
        yield Found(Hindrance.TOLD_TO_WAIT, seen.until)
    if seen.pace is not None and not seen.pace.has_room:
        yield _of_pace(Hindrance.RATE_LIMIT, seen.pace)
    if seen.most is not None and seen.active >= seen.most:
        yield Found(Hindrance.CONCURRENCY, number=seen.active, of=seen.most)


def _of_group(group: GroupStanding, now: datetime) -> Iterator[Found]:
    if group.paused:
        yield Found(Hindrance.GROUP_PAUSED, name=group.name)
    elif group.until is not None and group.until > now:
        yield Found(Hindrance.GROUP_TOLD_TO_WAIT, group.until, name=group.name)
    if group.concurrency is not None and group.active >= group.concurrency:
        yield Found(Hindrance.GROUP_CONCURRENCY, number=group.active, of=group.concurrency, name=group.name)
    if group.pace is not None and not group.pace.has_room:
        yield _of_pace(Hindrance.GROUP_RATE_LIMIT, group.pace, group.name)


def _of_hands(seen: Standing) -> Iterator[Found]:
    hands = seen.hands
    if not hands.workers:
        yield Found(Hindrance.NO_WORKER)
    elif seen.alone:
        # a process of its own is started for it
        if seen.alone_runs:
            yield Found(Hindrance.ALONE_RUNS)
    else:
        if hands.paused == hands.workers:
            yield Found(Hindrance.WORKERS_PAUSED, number=hands.paused)
        if hands.busy >= hands.slots:
            yield Found(Hindrance.BUSY, number=hands.busy, of=hands.slots)


def _of_pace(code: Hindrance, pace: Pace, name: str = "") -> Found:
    return Found(code, pace.frees_at, number=pace.taken, of=pace.rate.limit, rate=pace.rate, name=name)


def hands_of(processes: Iterable[tuple[int, int, bool]]) -> Hands:
    """What these workers take at once: of each its threads, the jobs that it holds, and whether it is paused."""
    known = list(processes)
    able = [one for one in known if not one[2]]
    of = able or known
    slots, busy = sum(threads for threads, *_ in of), sum(min(held, threads) for threads, held, _ in of)
    return Hands(len(known), len(known) - len(able), slots, busy)


def turns_before(own: int, others: Iterable[tuple[bool, int]]) -> int:
    """How many jobs of one priority start before a job with `own` ahead of it in its group, as the groups take turns.

    `others`: of each other group whether its turn comes before this one's, and how many of its jobs may start.
    """
    return own + sum(min(number, own + is_before) for is_before, number in others)
