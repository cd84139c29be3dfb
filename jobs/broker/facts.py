"""What a store that is not the rows tells the history. Frozen; times are aware UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ..states import State
from .records import NewJob, Outcome
from .tally import Tally


class Step(StrEnum):
    """What a fact tells of."""

    ACCEPTED = "accepted"
    SETTLED = "settled"
    LOST = "lost"
    INTERRUPTED = "interrupted"
    EXPIRED = "expired"
    CANCELLED = "cancelled"  # before it started
    CHANGED = "changed"  # when it is due, its priority, its arguments, its key: `before` is the job as it is now
    DISCARDED = "discarded"  # a dead letter was
    MERGED = "merged"  # a job of the outbox ended: the job named by `reason` took over what it said
    REFUSED = "refused"  # a job of the outbox ended: the job named by `reason` has its key
    COUNTED = "counted"  # a job ended of which no more was kept


@dataclass(frozen=True, slots=True)
class Recorded:
    """A job as its broker held it before a step."""

    job: NewJob
    created_at: datetime
    timed_at: datetime | None
    attempts: int
    starts: int
    lost: int


@dataclass(frozen=True, slots=True)
class Start:
    """How a start ended: `outcome` is the class of its outcome, `burns` the attempts that ended with it (0 or 1).

    `ran` and `waited`: the milliseconds for which it ran, and for which it had been due before.
    """

    outcome: type[Outcome]
    burns: int
    claimed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error: str = ""
    traceback: str = ""
    reason: str = ""
    result: str | None = None
    ran: int = 0
    waited: int = 0
    release: str = ""


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of an ended job of which less than all is known: its numbers."""

    started_at: datetime | None
    attempts: int
    starts: int
    lost: int


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of completed jobs in the hour that begins then, where their facts waited for too long."""

    hour: datetime
    completed: int
    retried: int
    ran_ms: int
    waited_ms: int


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened to a job, told to the history by a store that is not the rows.

    `state` is what the job became, `ready_at` when it is due, if it is queued; `worker` the label of the process;
    `reason` why it was cancelled; `claim` the number in the token of the start that it tells of, `claimed_at` of one
    that was lost or interrupted; `before` is None of a dead letter, `start` None unless a worker settled. One with a
    `rest` says no more than that the job ended, and that is counted already.
    """

    step: Step
    job: UUID
    run: int
    state: State
    at: datetime
    ready_at: datetime | None = None
    worker: str = ""
    reason: str = ""
    claim: int = 0
    claimed_at: datetime | None = None
    before: Recorded | None = None
    start: Start | None = None
    rest: Rest | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Jobs that ended so, and of which the history keeps nothing: their ids in hexadecimal digits, and their tasks.

    `hour`: in which they ended.
    """

    run: int
    state: State
    hour: datetime
    ids: tuple[str, ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FactPage:
    """Facts in their order; `last` is the position behind them, `generation` the life of the store that they are of.

    `has_lost`: in this life some facts up to the asked position did not happen. `counters` count what stands in no fact
    of the page. Of the jobs that are `dropped` they told also what is `counted`: by hour. `more`: there are further
    facts; `calm`: there are, and they are too young. To who asks in another generation, `lives` are those before this
    one, each with the position behind its facts.
    """

    generation: str
    last: str
    facts: tuple[Fact, ...] = ()
    has_lost: bool = False
    counters: tuple[Counters, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    counted: Mapping[datetime, Tally] = field(default_factory=dict)
    more: bool = False
    calm: bool = False
    lives: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Lag:
    """By how many seconds the history is behind, and how many facts wait for it; `more`: counting stopped there.

    `cut`: of how many completed jobs less than all is left, since their facts waited for too long; the first and the
    last of them ended at `cut_since` and `cut_until`.
    """

    seconds: float = 0.0
    facts: int = 0
    more: bool = False
    cut: int = 0
    cut_since: datetime | None = None
    cut_until: datetime | None = None
