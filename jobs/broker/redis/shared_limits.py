"""Limits that several queues share: each under a tag of its own, so an exchange reserves starts before and gives back.

A claim that passes over jobs says of which limits it had no starts; the next exchange of the worker reserves some of
these. What it does not need it gives back; what a killed worker reserved counts as started for one period.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from ... import clock
from ...policy import MOST_AT_ONCE, Limit, QueuePolicy
from ..records import ClaimedJob, Settlement
from .moments import span
from .scripts import Scripts, decode


@dataclass(slots=True)
class Reserved:
    """What one exchange reserved: by limit the names of its starts; and how long there are no more, in seconds."""

    starts: dict[str, list[str]] = field(default_factory=dict)
    wait: float | None = None
    began: float = 0.0


NOTHING = Reserved()


class SharedLimits:
    """What this process knows of them."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        # by queue: the limits of which its last claim had no starts
        self._short: dict[str, tuple[str, ...]] = {}
        # by job and token: its starts, until it is settled
        self._held: dict[tuple[UUID, str], list[tuple[str, str]]] = {}

    def reserve(self, policy: QueuePolicy, worker: UUID, number: int, wanted: int, guard: float) -> Reserved:
        """Reserve what the last claim lacked, for a claim of so many."""
        reserved = Reserved(began=clock.monotonic())
        short = self._short.get(policy.name, ())
        if not short or wanted <= 0:
            return reserved
        id = f"{worker.hex}.{number}."
        for limit in sorted(_limits_of(policy, short), key=lambda limit: limit.name):
            most = min(wanted * _most_of_a_call(policy), MOST_AT_ONCE, limit.rate_limit.limit)
            ask = {"limit": limit.rate_limit.limit, "per": span(limit.rate_limit.per), "guard": span(guard)}
            given, wait = decode(self._scripts.reserve(place_of(limit.name), {**ask, "wanted": most, "id": id}))
            reserved.starts[limit.name] = [f"{id}{i}" for i in range(1, given + 1)]
            if wait is not False:
                reserved.wait = min(wait / 1_000_000, reserved.wait or wait / 1_000_000)
        return reserved

    def take(
        self, policy: QueuePolicy, reserved: Reserved, jobs: Sequence[ClaimedJob], short: Sequence[str], guard: float
    ) -> tuple[ClaimedJob, ...]:
        """Give the claimed jobs their starts, and what is left back; the jobs are told until when they must start."""
        start_by = reserved.began + guard
        told = []
        for job in jobs:
            if limits := policy.limits.get(job.task, ()):
                starts = [(one.name, names.pop()) for one in limits if (names := reserved.starts.get(one.name))]
                self._held[job.id, job.token] = starts
                job = replace(job, start_by=min(start_by, job.start_by or start_by))
            told.append(job)
        used_up = [name for name, left in reserved.starts.items() if not left]
        self._short[policy.name] = tuple(dict.fromkeys([*short, *used_up]))
        for name, left in reserved.starts.items():
            self._give_back(name, left)
        return tuple(told)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Give the starts of those back whose function was never called."""
        if not self._held:
            return
        for one in settlements:
            for name, start in self._held.pop((one.job.id, one.job.token), ()):
                if one.started_at is None:
                    self._give_back(name, [start])

    def _give_back(self, limit: str, starts: Sequence[str]) -> None:
        if starts:
            self._scripts.command("ZREM", place_of(limit), "pace", *starts)


def wait_of(reserved: Reserved, short: Sequence[str], wait: float | None) -> float | None:
    """How long there is nothing to claim, where the claim itself says so and had no starts of some limits."""
    if not short:
        return wait
    # what was not asked for yet may have room at once
    mine = reserved.wait if all(name in reserved.starts for name in short) else 0.0
    return mine if wait is None or mine is None else min(mine, wait)


def _limits_of(policy: QueuePolicy, names: Sequence[str]) -> set[Limit]:
    """Those of these names, and of the tasks that have them: a job needs a start of each."""
    asked = [limits for limits in policy.limits.values() if any(limit.name in names for limit in limits)]
    return {limit for limits in asked for limit in limits}


def _most_of_a_call(policy: QueuePolicy) -> int:
    """How many jobs with limits one call may take."""
    return max((bulk.most for task, bulk in policy.bulks.items() if task in policy.limits), default=1)


def place_of(limit: str) -> str:
    """Where its keys stand: no queue can be called so."""
    return f"limit:{limit}"


def limit_rules(policy: QueuePolicy, reserved: Reserved) -> dict[str, Any]:
    """What `exchange.lua` is told of tasks: their limits, breakers that are not closed, and what starts in bulk."""
    bulks = {task: [one.most, one.least, span(one.wait)] for task, one in policy.bulks.items()}
    rules: dict[str, Any] = {"bulks": bulks} if bulks else {}
    named = {task: [limit.name for limit in limits] for task, limits in policy.limits.items()}
    for task, names in policy.breakers.items():
        if held_back := [name for name in names if name in policy.rooms]:
            named[task] = named.get(task, []) + held_back
    if not named:
        return rules
    rooms = {name: len(starts) for name, starts in reserved.starts.items()}
    return rules | {"limits": named, "rooms": rooms | dict(policy.rooms)}
