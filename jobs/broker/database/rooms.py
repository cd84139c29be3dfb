"""How many jobs the limits that several queues share may start now: in a claim's transaction, each under its lock."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ... import clock
from ...policy import MOST_AT_ONCE, Limit, QueuePolicy
from ..guard import Guard
from ..records import ClaimedJob
from .connection import Trip
from .pace import as_restarted, is_to_come, restart_grants
from .values import moment_of, text_of

#: Their grants are of no queue.
NO_QUEUE = ""


class Rooms:
    """The limits of a queue's tasks in one claim. Whoever asks first locks them all, in the order of their names.

    With `only_looks` nothing is locked or written.
    """

    def __init__(self, trip: Trip, policy: QueuePolicy, *, only_looks: bool = False) -> None:
        self._trip = trip
        self._only_looks = only_looks
        self._of_tasks = policy.limits
        self._breakers = policy.breakers
        self._probes = dict(policy.rooms)
        self._rooms: dict[str, int] | None = None
        self._free_at: dict[str, datetime] = {}
        #: when the first of those without room may start something; None: nobody knows
        self.blocked_until: datetime | None = None

    def has_room(self, task: str) -> bool:
        """Whether all limits and breakers of the task let one more of its jobs start."""
        if any(self._probes.get(name) == 0 for name in self._breakers.get(task, ())):
            return False
        limits = self._of_tasks.get(task, ())
        if not limits:
            return True
        if self._rooms is None:
            self._rooms = self._look()
        full = [limit for limit in limits if self._rooms[limit.name] <= 0]
        for limit in full:
            # without a grant that ends: what it has started in this claim
            until = self._free_at.get(limit.name) or self._trip.now + timedelta(seconds=limit.rate_limit.per)
            self.blocked_until = min(until, self.blocked_until or until)
        return not full

    def full(self) -> frozenset[str]:
        """The limits that let none start now."""
        if self._rooms is None:
            self._rooms = self._look()
        return frozenset(name for name, room in self._rooms.items() if room <= 0)

    def room(self, task: str) -> int:
        """How many more jobs of the task may start, where `has_room` was asked."""
        probes = [self._probes[name] for name in self._breakers.get(task, ()) if name in self._probes]
        limits = [(self._rooms or {})[limit.name] for limit in self._of_tasks.get(task, ())]
        return min([*probes, *limits], default=MOST_AT_ONCE)

    def take(self, task: str, number: int = 1) -> None:
        """A job of the task starts; -1: it does not."""
        for name in self._breakers.get(task, ()):
            if name in self._probes:
                self._probes[name] -= number
        for limit in self._of_tasks.get(task, ()):
            if self._rooms is not None:
                self._rooms[limit.name] -= number

    def save(self, jobs: Sequence[ClaimedJob], guard: Guard) -> Mapping[str, int]:
        """Write down what was started under each limit, at the latest moment before the commit; returns the grants."""
        started = Counter(limit for job in jobs for limit in self._of_tasks.get(job.task, ()))
        grants = {}
        for limit, number in sorted(started.items(), key=lambda one: one[0].name):
            subject = subject_of(limit.name)
            before = self._trip.parameter(self._trip.now - timedelta(seconds=limit.rate_limit.per))
            self._trip.change("end_group_grants", queue=NO_QUEUE, subject=subject, before=before)
            now = clock.now()
            ((grants[limit.name],),) = self._trip.run(
                "insert_grant",
                queue=NO_QUEUE,
                subject=subject,
                number=number,
                guard=guard.seconds,
                granted_at=text_of(now),
                start_by=text_of(now + timedelta(seconds=guard.seconds)),
            )
        return grants

    def grants_of(self, job: ClaimedJob, grants: Mapping[str, int]) -> tuple[int, ...]:
        """Those of these grants that the job has a slot of."""
        return tuple(grants[limit.name] for limit in self._of_tasks.get(job.task, ()) if limit.name in grants)

    def _look(self, *, again: bool = False) -> dict[str, int]:
        limits: dict[str, Limit] = {one.name: one for ones in self._of_tasks.values() for one in ones}
        for name in () if self._only_looks else sorted(limits):
            self._trip.lock_limit(name)
        now = self._trip.now
        found = self._trip.run(
            "read_group_grants",
            queue=NO_QUEUE,
            subjects=json.dumps([subject_of(name) for name in limits]),
            since=self._trip.parameter(now - timedelta(seconds=max(one.rate_limit.per for one in limits.values()))),
        )
        if self._only_looks:
            found = as_restarted(found, now)
        elif not again and any(is_to_come(moment_of(granted_at), now) for *_, granted_at in found):
            restart_grants(self._trip, NO_QUEUE)
            return self._look(again=True)
        windows: defaultdict[str, list[tuple[datetime, int]]] = defaultdict(list)
        for subject, number, start_by, _ in found:
            windows[subject[1:]].append((moment_of(start_by), number))
        return {name: self._room_of(limit, windows[name]) for name, limit in limits.items()}

    def _room_of(self, limit: Limit, grants: Sequence[tuple[datetime, int]]) -> int:
        per, most = timedelta(seconds=limit.rate_limit.per), limit.rate_limit.limit
        counted = [(start_by + per, number) for start_by, number in grants if start_by + per > self._trip.now]
        taken = sum(number for _, number in counted)
        room = max(0, most - taken)
        for ends_at, number in counted:
            taken -= number
            if taken < most:
                self._free_at[limit.name] = ends_at
                break
        return room


def subject_of(limit: str) -> str:
    """What a limit's grants are known by."""
    return f"l{limit}"
