"""When a job that waits is expected to start: by its place, how long others ran lately, and the limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, pstdev

from ..broker.contract import PACE_GUARD
from ..broker.standing import Found, Hindrance, Pace, Standing
from ..states import State
from . import lookup

#: How many of the queue's last ends are looked at, and how old they may be, in seconds.
MOST_ENDS, OLDEST_END = 200, 3_600.0
#: So many ends while the job waited tell how fast the queue is worked.
ENOUGH_ENDS = 10
#: Seconds within which a free worker starts what is due.
A_LOOK = 1.0
#: What only somebody removes, or an end of which nobody knows when it comes.
WITHOUT_TIME = frozenset(
    {
        *(Hindrance.EXPIRED, Hindrance.ELSEWHERE, Hindrance.PAUSED, Hindrance.GROUP_PAUSED, Hindrance.BEHIND),
        *(Hindrance.NO_WORKER, Hindrance.WORKERS_PAUSED, Hindrance.ALONE_RUNS, Hindrance.BREAKER),
        Hindrance.TAG_PAUSED,
    }
)


@dataclass(frozen=True, slots=True)
class Recent:
    """How the queue was worked lately: seconds that a job held its thread, their spread, and the ends themselves."""

    run: float
    spread: float
    ends: tuple[datetime, ...]

    def per_second(self, since: datetime, now: datetime) -> float | None:
        """How many jobs ended in a second since a moment; None: too few did."""
        ends = [end for end in self.ends if since <= end <= now]
        seconds = (now - min(ends)).total_seconds() if len(ends) >= ENOUGH_ENDS else 0.0
        return (len(ends) - 1) / seconds if seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """When the start is expected, by the broker's clock, and by how many seconds it may be otherwise."""

    at: datetime
    plus_minus: float


def recent_of(queue: str, now: datetime) -> Recent | None:
    """How the queue was worked within the last hour; None: the history keeps no end of that time."""
    since = now - timedelta(seconds=OLDEST_END)
    ended = lookup.all_jobs().filter(queue=queue, state=State.COMPLETED, ended_at__isnull=False, ended_at__gte=since)
    rows = ended.order_by("-ended_at", "-pk").values_list("claimed_at", "started_at", "ended_at")[:MOST_ENDS]
    known = [(began, end) for claimed, started, end in rows if (began := claimed or started) and end]
    if not known:
        return None
    runs = [max(0.0, (end - began).total_seconds()) for began, end in known]
    return Recent(fmean(runs), pstdev(runs), tuple(end for _, end in known))


def expected_start(seen: Standing, found: tuple[Found, ...], recent: Recent | None) -> Estimate | None:
    """When the job starts if nobody comes in between; None: too little is known."""
    if any(one.code in WITHOUT_TIME for one in found) or seen.is_more:
        return None
    number, in_group = seen.ahead + 1, seen.ahead_in_group + 1
    moments = [seen.now, seen.ready_at, *(one.until for one in found if one.until is not None)]
    moments += [_start_by_pace(pace, seen.now, number) for pace in (seen.pace,) if pace is not None]
    doubts = [A_LOOK]
    lines = [_threads_of(seen, number)]
    if seen.group is not None:
        group = seen.group
        if group.pace is not None:
            moments.append(_start_by_pace(group.pace, seen.now, in_group))
        if group.concurrency is not None:
            lines.append((group.concurrency, in_group - max(0, group.concurrency - group.active)))
    for threads, ends in lines:
        if ends <= 0:
            continue
        if recent is None or threads <= 0:
            return None
        wait = _wait_for_ends(seen, recent, threads, ends, is_whole=(threads, ends) == lines[0])
        moments.append(seen.now + timedelta(seconds=wait))
        doubts.append(A_LOOK / 2 + 2 * recent.spread * math.sqrt(ends) / threads + recent.run / threads)
    return Estimate(max(moments), max(doubts))


def _threads_of(seen: Standing, number: int) -> tuple[int, int]:
    """How many jobs of the queue run at once, and how many ends must come before the one of this number starts."""
    if seen.alone:
        return 1, number - 1
    threads, busy = seen.hands.slots, seen.hands.busy
    if seen.most is not None and seen.most < threads:
        threads, busy = seen.most, max(busy, seen.active)
    return threads, number - max(0, threads - busy)


def _wait_for_ends(seen: Standing, recent: Recent, threads: int, ends: int, *, is_whole: bool) -> float:
    """How many seconds so many ends take."""
    observed = recent.per_second(seen.ready_at, seen.now) if is_whole and seen.hands.busy >= seen.hands.slots else None
    return ends / observed if observed else ends * recent.run / threads


def _start_by_pace(pace: Pace, now: datetime, number: int) -> datetime:
    """When the limit lets the job of this number start, if each before it starts as soon as it may."""
    limit, period = pace.rate.limit, timedelta(seconds=pace.rate.per + PACE_GUARD)
    free = max(0, limit - pace.taken)
    # of more grants than the limit allows the first ends give nothing
    ends = [now] * free + list(pace.ends[max(0, pace.taken - limit) :])
    if not ends:
        return now
    rounds, place = divmod(number - 1, max(1, min(limit, len(ends))))
    return ends[place] + period * rounds
