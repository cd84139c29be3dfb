"""The states of a job and the table of legal moves.

Python checks this table, SQL guards with it, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from .errors import IllegalMove


class State(StrEnum):
    """What is stored of a job's place in its life."""

    BLOCKED = "blocked"  # accepted in SQL, waits for other jobs; no broker knows it
    PENDING = "pending"  # accepted in SQL, not yet with the broker
    QUEUED = "queued"  # with the broker, due at `ready_at`
    ACTIVE = "active"  # claimed by a worker
    COMPLETED = "completed"
    FAILED = "failed"  # a dead letter: waits for a person
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Shown(StrEnum):
    """What a person reads: `queued` is told apart by the clock and the attempts made."""

    BLOCKED = "blocked"
    PENDING = "pending"
    SCHEDULED = "scheduled"
    WAITING = "waiting"
    RETRYING = "retrying"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


LIVE = frozenset({State.BLOCKED, State.PENDING, State.QUEUED, State.ACTIVE})
ENDED = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED})

#: from (None: a job that is not there yet) -> to, with who makes the move
MOVES: Mapping[State | None, frozenset[State]] = {
    None: frozenset({State.BLOCKED, State.PENDING, State.QUEUED}),
    State.BLOCKED: frozenset({State.PENDING, State.QUEUED, State.FAILED, State.CANCELLED, State.EXPIRED}),
    State.PENDING: frozenset({State.QUEUED, State.CANCELLED, State.EXPIRED, State.FAILED}),
    State.QUEUED: frozenset({State.ACTIVE, State.CANCELLED, State.EXPIRED, State.FAILED, State.PENDING}),
    State.ACTIVE: frozenset({State.COMPLETED, State.QUEUED, State.FAILED, State.CANCELLED, State.PENDING}),
    State.FAILED: frozenset({State.BLOCKED, State.PENDING, State.QUEUED, State.CANCELLED}),
    State.COMPLETED: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
}


def check_move(old: State | None, new: State) -> None:
    """Raise `IllegalMove` unless a job in state `old` may become `new`."""
    if new not in MOVES[old]:
        allowed = ", ".join(sorted(MOVES[old])) or "nothing: it has ended"
        raise IllegalMove(f"a job that is {old or 'new'} cannot become {new}; it can become {allowed}")


def shown(state: State | str, ready_at: datetime | None, attempts: int, now: datetime) -> Shown:
    """What to call a job in `state`, due at `ready_at`, after `attempts` ended attempts of its run."""
    if state != State.QUEUED:
        return Shown(str(state))
    if attempts > 0:
        return Shown.RETRYING
    if ready_at is not None and ready_at > now:
        return Shown.SCHEDULED
    return Shown.WAITING
