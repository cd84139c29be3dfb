"""The values that pass between the engine and a broker. Frozen; times are aware UTC, durations seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from .. import clock
from ..states import State
from .pushes import BEHIND as BEHIND
from .pushes import KeyMode as KeyMode
from .pushes import KeyRule as KeyRule
from .pushes import Pushed as Pushed
from .pushes import PushReply as PushReply
from .pushes import PushStatus as PushStatus


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job on its way in.

    `delay` counts from the moment the accepting store takes the job, by that store's clock; so does `expires_in`.
    `at` is a time that was asked for in place of a delay: due then, or at once if that is past by the store's clock.
    `ready_at` and `expires_at`, where given, are that clock's answer from an earlier acceptance and win over them.
    `message` is the JSON text made by `jobs.define.message`; `about` names an object as (model label, primary key);
    `priority` is the stored one, -100 to 100, larger first (`jobs.policy.stored_priority`); `scope` says whose it is.
    `lane` is where it stands while it waits (`jobs.broker.lanes.lane_of`).
    `attempts`, `starts` and `lost` are what this run has behind it already, where its broker has lost the job.
    `rule` is what happens where the key is held; without one it is a duplicate then. `awaited`: others wait for it.
    `group_max`: refused where more jobs of its group than so many would wait, due to start; a row never is.
    `sequence` names the jobs of its queue that run one after another; SQL lets them go, no store needs to know.
    """

    id: UUID
    queue: str
    task: str
    message: str
    priority: int
    delay: float = 0.0
    run: int = 1
    key: str | None = None
    expires_in: float | None = None
    ready_at: datetime | None = None
    expires_at: datetime | None = None
    event: str = ""
    event_id: UUID | None = None
    about: tuple[str, str] | None = None
    parent_id: UUID | None = None
    scope: str = ""
    group: str = ""
    tags: tuple[str, ...] = ()
    at: datetime | None = None
    attempts: int = 0
    starts: int = 0
    lost: int = 0
    rule: KeyRule | None = None
    awaited: bool = False
    lane: str = ""
    sequence: str = ""
    group_max: int | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether it may start at once."""
        return not self.delay and (self.at is None or self.at <= now)


@dataclass(frozen=True, slots=True)
class Life:
    """Which life of its store a queue lives: another `generation` where it may have lost something.

    `sequence` counts its pushes; `has_lost_facts`: something that the history holds did not happen in this life.
    """

    generation: str
    sequence: int
    has_lost_facts: bool = False


@dataclass(frozen=True, slots=True)
class Healed:
    """How many jobs stood in no order and do again, and how many were in it whose record had vanished."""

    returned: int = 0
    vanished: int = 0


@dataclass(frozen=True, slots=True)
class LivingRow:
    """What the history knows of a live job."""

    id: UUID
    run: int
    attempts: int
    starts: int
    lost: int


class ClaimedJob(msgspec.Struct, frozen=True, eq=False):
    """A job that a worker holds, as it was when claimed; made in a fifth of a dataclass's time, once a job.

    `attempts` counts ended attempts of this run, `starts` all starts of it, `lost` its lost leases; `token` fences the
    settle; `claimed_at` is the broker's time, and `claimed_monotonic` what `clock.monotonic()` of the claiming process
    showed then, or a little before; `unknown_since` the first hand-back of a job no worker understood. `start_by` is
    what `clock.monotonic()` of that process must not have passed when a job with a rate limit starts; `grant` is what
    the broker knows its slot by, None where it has none to give back; `other_grants` those of its group and its limits.
    """

    id: UUID
    run: int
    queue: str
    task: str
    message: str
    priority: int
    token: str
    attempts: int
    starts: int
    lost: int
    ready_at: datetime
    claimed_at: datetime
    key: str | None = None
    expires_at: datetime | None = None
    unknown_since: datetime | None = None
    cancel_requested: bool = False
    event: str = ""
    event_id: UUID | None = None
    about: tuple[str, str] | None = None
    scope: str = ""
    group: str = ""
    tags: tuple[str, ...] = ()
    claimed_monotonic: float = msgspec.field(default_factory=clock.monotonic)
    start_by: float | None = None
    grant: int | None = None
    other_grants: tuple[int, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Whether it is the same claim; the last four are this process's own notes."""
        return isinstance(other, ClaimedJob) and astuple(self)[:-4] == astuple(other)[:-4]

    def __hash__(self) -> int:
        return hash((self.id, self.token))

    def seconds_since_claim(self) -> float:
        """How long the claim is past, whatever this machine's clock shows; rather too much than too little."""
        return clock.monotonic() - self.claimed_monotonic


@dataclass(frozen=True, slots=True)
class Completed:
    """The attempt ended well; `result` is JSON text or None; `reason` is what else there is to say, mostly nothing."""

    result: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Retried:
    """The attempt failed and the job is due again in `delay` seconds; `counts_for`: the breakers that count it."""

    delay: float
    error: str
    traceback: str = ""
    counts_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Postponed:
    """The task asked to be started again in `delay` seconds; burns no attempt.

    `whole_queue`: none of the queue starts until then; `whole_group`: none of the job's group, if it has one.
    """

    delay: float
    reason: str
    whole_queue: bool = False
    whole_group: bool = False


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The job was not finished here and goes back; burns no attempt and keeps its ready time, unless `delay` is given.

    `unknown`: no code here understands it (the broker notes since when). `trouble`: what came in between is the
    worker's own, which then slows down. `started` is on the settlement.
    """

    reason: str
    delay: float | None = None
    unknown: bool = False
    trouble: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The job is a dead letter now, in this `release`; not `attempted`: it could not start. `counts_for` as above."""

    error: str
    traceback: str = ""
    attempted: bool = True
    release: str = ""
    counts_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The job agreed to its cancellation, or was asked to cancel before it started: it ends as cancelled."""

    reason: str


Outcome = Completed | Retried | Postponed | HandedBack | Failed | GivenUp


@dataclass(frozen=True, slots=True)
class Settlement:
    """One claimed job and how it ended. `started_at` is None when the task's function was never called."""

    job: ClaimedJob
    outcome: Outcome
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that may claim: its id is new at each start and never used again."""

    id: UUID
    kind: str  # worker, keeper or supervisor
    queue: str  # empty for keeper and supervisor
    host: str
    pid: int
    concurrency: int = 0

    @property
    def label(self) -> str:
        """What a person reads: `host:pid`."""
        return f"{self.host}:{self.pid}"


@dataclass(frozen=True, slots=True)
class SeenProcess:
    """A process as its broker knows it; `trouble` and `dropped` are what it last reported, and when."""

    record: ProcessRecord
    started_at: datetime
    renewed_at: datetime
    lease_until: datetime
    clock_offset: float = 0.0
    trouble: str = ""
    trouble_since: datetime | None = None
    dropped: int = 0
    dropped_at: datetime | None = None
    paused: bool = False


class Answer(StrEnum):
    """What became of one settlement."""

    COUNTED = "counted"
    REFUSED = "refused"  # the job is not this worker's any more under that token
    BUSY = "busy"  # somebody holds the job locked: say it again, under the next number


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer to one settlement; `state` is what the job became, where it counted."""

    answer: Answer
    state: State | None = None

    @property
    def counted(self) -> bool:
        """Whether the settlement made its move."""
        return self.answer is Answer.COUNTED


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one trip brought.

    `settled`: the answers to the settlements, in order; `jobs`: what was claimed, in start order; `wait`: for how many
    seconds at most there is nothing to claim (None: nothing is known to become due).
    """

    settled: tuple[Settled, ...] = ()
    jobs: tuple[ClaimedJob, ...] = ()
    wait: float | None = None


class CancelAnswer(StrEnum):
    """What a cancellation did."""

    CANCELLED = "cancelled"
    ASKED = "asked"  # it runs: the task was asked and may agree
    ENDED = "ended"  # too late


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A live job as its broker knows it; what has ended is the history's.

    `worker` and `claimed_at` are those of an active one, where the rows are not the queue.
    """

    id: UUID
    run: int
    queue: str
    task: str
    state: State
    message: str
    priority: int
    ready_at: datetime
    attempts: int
    starts: int
    lost: int
    key: str | None = None
    expires_at: datetime | None = None
    cancel_requested: bool = False
    scope: str = ""
    group: str = ""
    tags: tuple[str, ...] = ()
    worker: UUID | None = None
    claimed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """Jobs that wait; `last` is the position behind them, empty where there are no more."""

    jobs: tuple[FoundJob, ...] = ()
    last: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """How many jobs of a dead process went back, and which remain, because somebody holds them locked.

    While any remain, the same call is to be made again.
    """

    jobs: int = 0
    remaining: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Reaped:
    """What a reaper's pass did, in numbers of jobs."""

    lost: int = 0
    failed: int = 0
    expired: int = 0


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """A queue's live jobs. `oldest_ready_at`: since when the longest-waiting due job waits.

    `vanished`: how many records of jobs were found to be gone so far, which somebody else must have removed.
    """

    waiting: int = 0
    scheduled: int = 0
    active: int = 0
    oldest_ready_at: datetime | None = None
    paused: bool = False
    blocked_until: datetime | None = None
    vanished: int = 0
    paused_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LossRules:
    """When losses make a job suspicious and when they end it (DESIGN G2)."""

    alone_after: int = 2
    dead_after: int = 5


@dataclass(frozen=True, slots=True)
class Renewal:
    """Which of the named workers still hold a lease, and which of their jobs are asked to cancel."""

    alive: frozenset[UUID] = field(default_factory=frozenset)
    cancel_requested: frozenset[UUID] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Rewound:
    """What was set right after the clock had been ahead, by `ahead` seconds at least; `more`: not all jobs are."""

    jobs: int = 0
    ahead: float = 0.0
    more: bool = False
