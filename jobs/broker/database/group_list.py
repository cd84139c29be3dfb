"""The groups of a queue, as people see them: those with live jobs or settings of their own."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from ...policy import RateLimit
from ..contract import COUNT_LIMIT
from ..lanes import GroupSeen, GroupSettings, group_of
from .claim import read_heads
from .connection import Trip
from .turns import LAST
from .values import moment_of


def list_groups(trip: Trip, queue: str, after: str, limit: int) -> Sequence[GroupSeen]:
    """Those behind a name, in the order of their names."""
    priorities = sorted({priority for priority, _ in read_heads(trip, queue, False)})
    lanes, live = defaultdict[str, set[str]](set), set[str]()
    for priority in priorities:
        behind = after and after + LAST
        found = trip.run("scan_lanes", queue=queue, priority=priority, after=behind, most=limit + 1)
        while found and len({group_of(lane) for lane, _ in found} - {""}) < limit and len(found) > limit:
            # some groups have several lanes
            more = trip.run("scan_lanes", queue=queue, priority=priority, after=found[-1][0], most=limit + 1)
            found += more
            if len(more) <= limit:
                break
        for lane, _ in found:
            lanes[group_of(lane)].add(lane)
    active, alone = Counter[str](), trip.run("read_alone_lanes", queue=queue)
    for lane, number in trip.run("read_active_lanes", queue=queue):
        active[group_of(lane)] += number
    live |= {*lanes, *active, *(group_of(lane) for lane, _ in alone)}
    live |= {name for (name,) in trip.run("list_group_states", queue=queue, after=after, most=limit)}
    names = sorted(name for name in live if name > after)[:limit]
    waiting, scheduled = _counted(trip, queue, priorities, [lane for name in names for lane in sorted(lanes[name])])
    for lane, ready_at in alone:
        (waiting if moment_of(ready_at) <= trip.now else scheduled)[group_of(lane)] += 1
    known = {row[0]: row[1:] for row in trip.run("read_group_states", queue=queue, names=json.dumps(names))}
    return [
        _seen(
            trip, name, waiting[name], scheduled[name], active[name], known.get(name, (False, None, None, None, None))
        )
        for name in names
    ]


def _counted(
    trip: Trip, queue: str, priorities: Sequence[int], lanes: Sequence[str]
) -> tuple[Counter[str], Counter[str]]:
    waiting, scheduled = Counter[str](), Counter[str]()
    for priority in priorities if lanes else ():
        now = trip.parameter(trip.now)
        found = trip.run("count_lanes", queue=queue, priority=priority, lanes=json.dumps(lanes), now=now)
        for lane, due, to_come in found:
            waiting[group_of(lane)] += due
            scheduled[group_of(lane)] += to_come
    return waiting, scheduled


def _seen(trip: Trip, name: str, waiting: int, scheduled: int, active: int, known: Sequence[Any]) -> GroupSeen:
    paused, wait_until, concurrency, limit, per = known
    until = None if wait_until is None else moment_of(wait_until)
    return GroupSeen(
        name=name,
        waiting=min(waiting, COUNT_LIMIT),
        scheduled=min(scheduled, COUNT_LIMIT),
        active=active,
        settings=GroupSettings(bool(paused), concurrency, RateLimit(limit, per) if limit else None),
        blocked_until=until if until is not None and until > trip.now else None,
    )
