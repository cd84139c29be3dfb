"""Jobs of a sequence run one after another: each has its place, and the first that lives is the one that may run.

A place is given after the commit that accepted the job, in a short transaction of its own: so no transaction of
people's waits for another one's, and the order is that of the commits. Whoever gives places, or lets the next one go
after an end, holds the sequence's lock, so that each sees what the other did.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass, field
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from ...states import State
from ..records import NewJob
from .connection import Trip
from .rows import Cursor
from .statements import load_statements
from .values import id_of

#: A queue, and the name of a sequence of its jobs.
Name = tuple[str, str]


@dataclass(slots=True)
class Turn:
    """The blocked jobs that are first in their sequences now; `held_up`: where somebody else has that one locked."""

    next: list[UUID] = field(default_factory=list)
    held_up: Set[Name] = field(default_factory=frozenset)


def note(cursor: Cursor, vendor: str, jobs: Iterable[NewJob]) -> None:
    """Note of new blocked jobs which sequence they are of; in the transaction that inserts them."""
    named = json.dumps([[job.id.hex, job.sequence] for job in jobs], ensure_ascii=False)
    cursor.execute(load_statements(vendor)["note_sequences"], {"jobs": named})


def read_unplaced(connection: BaseDatabaseWrapper) -> list[Name]:
    """Sequences with jobs that have no place yet; 500 at most."""
    with connection.cursor() as cursor:
        cursor.execute(load_statements(connection.vendor)["read_unplaced"], {})
        return [(queue, sequence) for queue, sequence in cursor.fetchall()]


def place(trip: Trip, names: Collection[Name]) -> Turn:
    """Give all jobs of these sequences their places that have none; who is first of each now."""
    trip.lock_names(names)
    for queue, sequence in sorted(names):
        trip.change("place_jobs", queue=queue, sequence=sequence)
    return _first(trip, names)


def next_ones(trip: Trip, names: Collection[Name]) -> Turn:
    """Who is first of these sequences, in which jobs have ended."""
    if not names:
        return Turn()
    trip.lock_names(names)
    return _first(trip, names)


def _first(trip: Trip, names: Collection[Name]) -> Turn:
    first: list[UUID] = []
    held_up: set[Name] = set()
    for queue, sequence in sorted(names):
        for id, state in trip.run("read_first_of_sequence", queue=queue, sequence=sequence):
            if state != State.BLOCKED:
                continue
            # whoever has it may be about to cancel it, and must not wait for this one
            if trip.lock_blocked(id_of(id)):
                first.append(id_of(id))
            else:
                held_up.add((queue, sequence))
    return Turn(first, held_up)
