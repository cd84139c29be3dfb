"""How many jobs of a group wait, and whether they are more than it may have."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import GroupFull
from ..lanes import AFTER_LANES
from ..records import NewJob, Pushed, PushStatus
from .claim import read_heads
from .connection import Trip


def count_group(trip: Trip, queue: str, group: str, most: int) -> int:
    """How many jobs of the group wait, due to start; stops at `most`."""
    now, behind, number = trip.parameter(trip.read_clock()), group + AFTER_LANES, 0
    for priority in {priority for priority, _ in read_heads(trip, queue, False)}:
        values = {"queue": queue, "priority": priority, "group": group, "behind": behind, "now": now, "most": most}
        [(found,)] = trip.run("count_group", **values)
        number += found
    return min(number, most)


def limited(jobs: Sequence[NewJob]) -> dict[str, int]:
    """The groups of these jobs that may not have any number of them, with the number."""
    return {job.group: job.group_max for job in jobs if job.group_max is not None}


def lock_of(group: str) -> str:
    """The name under which a group is locked; no sequence has it."""
    return f"\x1e{group}"


def refuse_too_many(trip: Trip, queue: str, jobs: Sequence[NewJob], answers: Sequence[Pushed]) -> None:
    """Raise `GroupFull` where more wait now that these were taken in; who asks holds the groups' locks."""
    taken = [job for job, told in zip(jobs, answers, strict=True) if told.status is PushStatus.ACCEPTED]
    due = [job for job in taken if job.is_due(trip.now)]
    for group, most in limited(due).items():
        if count_group(trip, queue, group, most + 1) > most:
            raise GroupFull(queue, group, most)
