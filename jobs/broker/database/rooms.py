"""How many jobs the limits that several queues share may start now."""

from __future__ import annotations

from collections.abc import Collection

from .connection import Trip

#: More than any worker asks for.
UNBOUNDED = 1_000_000


def rooms_of(trip: Trip, names: Collection[str]) -> dict[str, int]:
    """How many more jobs of each limit may start; in the transaction of a claim."""
    return dict.fromkeys(names, UNBOUNDED)
