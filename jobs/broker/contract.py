"""What every broker does. An internal seam: `tests/contract/` runs the same tests over each broker.

Every method may be called from any thread and is atomic: it happened whole or not at all. All decisions about time
are made by the broker's own clock. Each raises `BrokerAway`, and nothing else, when its store cannot be reached: the
call may have happened all the same; `QueueBroken` is that of one queue only. Repeating any call is harmless.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ..policy import Limit, QueueLimits, QueuePolicy, RateLimit
from ..states import State
from .changes import Change, ChangeAnswer
from .facts import FactPage, Lag
from .lanes import GroupSeen, GroupSettings
from .records import (
    CancelAnswer,
    ClaimedJob,
    Completed,
    Exchange,
    FoundJob,
    Healed,
    Life,
    LivingRow,
    LossRules,
    NewJob,
    ProcessRecord,
    PushReply,
    QueueCounts,
    Reaped,
    Released,
    Renewal,
    Rewound,
    SeenProcess,
    Settled,
    Settlement,
    WaitingPage,
)
from .standing import Pace, Standing

#: The least pace guard of G7, in seconds: a slot is free again after `per` and the guard of its grant, and a job of a
#: limited queue that did not start within that guard is handed back, and its slot is free again.
PACE_GUARD = 0.020
#: Where `counts` stops unless it is to be exact: people read "10,000+".
COUNT_LIMIT = 10_000
LOSS_RULES = LossRules()
#: Said where somebody still uses a store from which `jobs move` has taken the jobs.
LEFT = (
    "the jobs were moved away from this Redis by `manage.py jobs move`: take it out of REDIS_URL and restart, or say "
    "`manage.py jobs move --reuse` to use it again"
)


class Broker(Protocol):
    """Keeps the live jobs."""

    #: the job rows themselves are the queue: a committed row is queued, without a push
    rows_are_the_queue: bool
    #: names the store by its address; empty where the rows are the queue
    store: str

    def now(self) -> datetime:
        """The broker's time."""

    def clock_offset(self) -> float:
        """By how many seconds this machine's clock is ahead of the broker's at least (behind: below 0)."""

    # Jobs come in

    def push(self, queue: str, jobs: Sequence[NewJob], as_of: datetime | None = None) -> PushReply:
        """Take jobs of one queue in, all or none, answers in order. Idempotent by (id, run).

        A job whose key is held by another live job of its queue is not taken, nor is its row later; the answer names
        the holder. Of two jobs in one call the first wins. Where it has a rule for that case (`KeyRule`), the one that
        holds the key and waits may take over what it says (merged: its row ends as cancelled), or it waits behind one
        that runs. Where the rows are the queue it stays pending then, and is to be pushed again until the key is free.
        A higher run of a dead letter begins that run, with fresh counters; a known id in any other state stays as it
        is. `as_of`: the broker's time before the rows were read: a store that forgets ids refuses what is older.
        Raises `GroupFull`, and takes nothing, if more of a group would wait than `group_max` of a job that it takes.
        """

    def adopt(self, queue: str, held: Sequence[NewJob], grants: Sequence[datetime] = ()) -> frozenset[UUID]:
        """Let the jobs that another broker's workers hold count here, with their keys and in the global concurrency.

        `held` are all of the queue, `grants` until when each start had to begin that the other broker granted. Returns
        those that were held so before, and are not any more; a push of one of them takes it in, `mend` lets it end.
        """

    # Workers

    def register(self, process: ProcessRecord, lease: float) -> None:
        """Make a process known, with a lease of `lease` seconds from now."""

    def renew(self, processes: Sequence[UUID], lease: float) -> Renewal:
        """Let the leases of these processes end `lease` seconds from now, and tell which of their jobs should cancel.

        A process that is not in `alive` was released or reaped: what it holds is no longer its own. One that is in
        `alive` is not reaped before its new lease has ended.
        """

    def report_trouble(self, worker: UUID, trouble: str) -> None:
        """Note for the status what keeps a process from working; an empty text: nothing any more."""

    def report_dropped(self, worker: UUID, dropped: int) -> None:
        """Note for the status how many news of its jobs a process has dropped so far, the last of them just now."""

    def pause_worker(self, queue: str, worker: UUID, *, paused: bool) -> bool:
        """A claim of this worker begun after this returned takes nothing, or takes again; False: it is not known."""

    def processes(self) -> Sequence[SeenProcess] | None:
        """Every process that holds a lease, or held one and was not reaped yet. None: the rows say it."""

    def exchange(
        self,
        worker: UUID,
        policy: QueuePolicy,
        settlements: Sequence[Settlement],
        wanted: int,
        *,
        number: int,
        alone: bool = False,
    ) -> Exchange:
        """Settle what is finished and claim jobs for up to `wanted` calls of the queue's tasks, in one trip.

        Each worker numbers its exchanges, upwards. The same number again, after a reply that was lost, brings the same
        reply and changes nothing; a lower one raises ValueError.

        Settle: counts only where the job is still active under the settlement's token; every ending frees the key,
        writes the attempt and the queue's counters. Where somebody else holds the job locked the answer is *busy*:
        nothing waits for it, and it is to be said again under the next number.

        Claim: due jobs by (priority, larger first, ready_at, id), none while the queue is paused or told to wait, no
        more than the rate limit and the global concurrency grant (the policy's, or what `set_limits` has put in their
        place), and only while the worker's lease lasts. One whose `expires_at` has passed ends as expired. A job lost
        `alone_after` times is claimed only with `alone=True`, and such a claim takes only those. Cancelled-while-active
        jobs that come back end as cancelled. A job under a limit whose function was never called gives its slot back.
        A claim that lacks starts of shared limits may bring less than there is: `wait` is 0 then. A call takes one job;
        of a task in `policy.bulks` several of one lane and priority, and none before there are enough of them or the
        first has waited so long. At most `MOST_AT_ONCE` jobs in all, and about `MOST_BYTES` in bulk.

        Groups: within a priority the groups take turns, in the order of their names behind the one that was served
        last; each gives its first by (ready_at, id). Jobs without a group are one group, of the name "", for which no
        group rule holds. A group that is paused, told to wait, at its concurrency or at its rate is passed over, as is
        a job one of whose limits or breakers has no room: they keep their place.
        """

    def release(self, process: ProcessRecord, *, lost: bool) -> Released:
        """End a dead process's lease now and give its jobs back.

        `lost=True` counts a loss for each (G2); False is an interruption, which counts nothing (G10). The process must
        be dead, or must not touch its jobs any more. A job that somebody holds locked remains, and never counts as lost
        later if it is not lost now.
        """

    def reap(self, queues: Sequence[str], *, before: datetime | None = None, blame: bool = True) -> Reaped:
        """Give back what the silent hold of these queues, and end what came too late.

        Jobs of processes whose lease ended before that moment (None: before this call) are lost, unless nobody is to be
        blamed; queued jobs whose `expires_at` has passed are expired. A job `dead_after` times lost: a dead letter.
        What somebody holds locked is left for later.
        """

    def waits_alone(self, queues: Sequence[str]) -> frozenset[str]:
        """Those of the queues with a due job that must run alone, where none such is active and no pause holds."""

    # An atomic task (G3): the three places where a store may act

    def begin_atomic(self, worker: UUID, policy: QueuePolicy, job: ClaimedJob) -> Completed | None:
        """First in the transaction of an atomic task on the jobs' database.

        None: it is to run. Else the transaction of an earlier start has committed, and this is how the job has ended.
        Raises `RetryLater` while an earlier start is not over, `LeaseLost` if the job is not this worker's any more.
        """

    def settle_in_transaction(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> Settled:
        """Last in that transaction: settle the completed job, or let the transaction say how it ended.

        Anything but *counted* means to roll back.
        """

    def has_committed(self, job: ClaimedJob) -> bool:
        """Whether that transaction surely did commit, where COMMIT or what follows it raised."""

    def after_atomic(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> bool:
        """After that transaction has committed: whether the job is settled; else its next exchange is to do it."""

    # One job

    def holds(self, queue: str, job_id: UUID, token: str) -> bool:
        """Whether the job is still active under this token."""

    def find(self, queue: str, job_id: UUID) -> FoundJob | None:
        """The job, if it is live with this broker."""

    def explain(self, policy: QueuePolicy, job_id: UUID) -> Standing | None:
        """Where a queued job of the policy's queue stands, in one snapshot, by what a claim would go by; only looks.

        None: it is not queued there.
        """

    def find_all(self, queue: str, job_ids: Sequence[UUID]) -> Sequence[FoundJob]:
        """Those of these jobs that are live with this broker, in their order; 1,000 at most."""

    def list_active(self, queue: str) -> frozenset[UUID]:
        """The queue's jobs that run now; none where the rows are the queue: they say it."""

    def list_waiting(self, queue: str, after: str = "", limit: int = 100) -> WaitingPage:
        """Some of the queue's jobs that wait: those behind a position, at most 1,000, in the store's own order.

        A job that becomes due while one goes through the pages may be missed.
        """

    def cancel(self, queue: str, job_id: UUID, reason: str, *, pending_run: int = 0) -> CancelAnswer | None:
        """Cancel a queued job or dead letter, ask an active one. None: the broker does not know the job.

        A row on its way here, if its `pending_run` is given, is taken in no more: it is cancelled.
        """

    def cancel_waiting(self, queue: str, job_ids: Sequence[UUID], reason: str) -> frozenset[UUID]:
        """Cancel those of these jobs that wait; returns which. One that runs, has ended or is a dead letter stays."""

    def promote(self, queue: str, job_id: UUID) -> bool:
        """Make a queued job due now; False: it is not queued, or is due already."""

    def await_ends(self, queue: str, job_ids: Sequence[UUID]) -> Mapping[UUID, State]:
        """Let the ends of these jobs be told whole, whatever retention keeps: others wait for them.

        Returns the state of each that the store knows, ended or not. None where the rows are the queue: they say it.
        """

    def change(self, queue: str, job_id: UUID, change: Change) -> ChangeAnswer | None:
        """Change a job that waits: when it is due, its priority, its arguments. None: the broker does not know the job.

        Whole or not at all, and never one that a worker has claimed. With another priority it keeps its ready time, and
        stands by it among those of that priority (G5); losses and attempts stay.
        """

    # A key

    def holder(self, queue: str, key: str) -> UUID | None:
        """The live job that holds the key; else the one that a throttle of it began with, as long as that lasts."""

    def release_key(self, queue: str, key: str, job_id: UUID) -> bool:
        """Let the key, and a throttle that began with the job, be free; False: the job has neither."""

    # A queue

    def queues(self) -> frozenset[str]:
        """The queues of which the store may hold jobs without a row; none where the rows are the queue."""

    def pause(self, queue: str) -> None:
        """A claim begun after this returned takes nothing from the queue."""

    def resume(self, queue: str) -> None:
        """End a pause and what a provider's "slow down" had asked for."""

    def pause_tag(self, queue: str, tag: str, *, paused: bool) -> None:
        """A claim begun after this returned takes no job that carries the tag, or takes them again, in their order."""

    def set_limits(self, queue: str, limits: QueueLimits) -> None:
        """Let these limits hold in place of what a worker's policy says of them, from the next claim on."""

    def limits(self, queue: str) -> QueueLimits:
        """What was set of the queue's limits at run time."""

    def pace_of(self, limit: Limit) -> Pace:
        """How a limit stands that queues share."""

    def pace_of_queue(self, queue: str, rate: RateLimit) -> Pace:
        """How the queue's own rate limit stands, which is this one now."""

    # A group

    def set_group(self, queue: str, group: str, settings: GroupSettings, *, ends_wait: bool = False) -> None:
        """Let this hold for one group from the next claim on, in place of what the queue's policy says; any name.

        The default settings remove those that it has; they, or `ends_wait`, end a provider's "slow down" for it.
        """

    def groups(self, queue: str, after: str = "", limit: int = 100) -> Sequence[GroupSeen]:
        """Groups with live jobs or settings of their own (or told to wait) behind a name, by name; 1,000 at most."""

    def count_group(self, queue: str, group: str, most: int) -> int:
        """How many of the group's jobs wait, due to start; stops at `most`. Those that must run alone do not count."""

    def counts(self, queue: str, *, exact: bool = False) -> QueueCounts:
        """The queue's live jobs in numbers; each number stops counting at 10,000 unless `exact`."""

    # What the history is told, by a store that is not the rows

    def read_facts(
        self,
        queue: str,
        generation: str,
        after: str,
        limit: int,
        *,
        keep: Mapping[State, int] | None = None,
        calm: float = 0.0,
        age: float = 0.0,
    ) -> FactPage | None:
        """The facts behind a position of this generation, of another one the oldest that there are.

        `keep`: how many ended jobs the history keeps, by the state; one is dropped after which as many have ended in
        its state. While facts come in quick succession, those that cost a row are told when they are `calm` seconds
        old: most of them are dropped by then. Of accepted jobs those are told that still live after `age` seconds.

        None: the rows are the queue, there are none. What waits is bounded: beyond a bound the oldest completed jobs
        become counters, and of those with a row their end is told.
        """

    def forget_facts(self, queue: str, generation: str, last: str) -> None:
        """Forget the facts up to this position of this generation, and the ids of the jobs whose end they told.

        To be called a minute after the history held them (DESIGN: Forgetting). Nothing in another generation.
        """

    def lag(self, queue: str, after: str) -> Lag | None:
        """How far the history is behind that holds the facts up to a position. None: it never is."""

    # Where a store that is not the rows may have lost something (DESIGN: Recovery)

    def life(self, queue: str, generation: str, after: str) -> Life | None:
        """Which life the store lives, to a history with the facts up to there. None: the rows are the queue."""

    def mend(
        self, queue: str, live: Sequence[LivingRow] = (), over: Sequence[tuple[UUID, int]] = (), done: str = ""
    ) -> frozenset[UUID]:
        """Let the store know what the history knows better; returns those of `live` that it does not know.

        Counters of a live job never fall, and what has ended (id and run in `over`) does not start again. A new life
        that may have lost something hands nothing out until it is said to be `done` (its generation), for 3 s at most.
        Nothing where the rows are the queue.
        """

    def heal(self, queue: str) -> Healed:
        """Set right what somebody else has done to the store: jobs in no order, places of jobs that have vanished.

        A look at some numbers where there is nothing to do. Nothing where the rows are the queue.
        """

    def live_ids(self, queue: str) -> Iterator[Sequence[UUID]]:
        """The ids of the queue's live jobs, some thousand at once; one that moves meanwhile may be missed."""

    # What people ask for where something is wrong, or all is to go (`jobs doctor`, `jobs obliterate`)

    def examine(self, queue: str, *, mend: bool = False) -> Mapping[str, int]:
        """What of the queue is in no state, in numbers by its code (`jobs.operate.doctor`); with `mend` set right.

        Reads all of the queue, in steps. Nothing where the rows are the queue.
        """

    def wipe(self, queue: str, *, force: bool = False, whole: bool = False) -> int | None:
        """Forget all that a store beside the rows keeps of a queue; returns how many jobs were live there.

        None, and nothing is done: some run, and it is not to be forced. `whole`: also what says which life of the store
        this is, unless workers hold a lease. Nobody's claim may settle after that. 0 where the rows are the queue.
        """

    # Hints

    def rewind(self) -> Rewound:
        """After its clock was set back: what waits for a moment counted from a time to come waits from now on.

        Some thousand jobs a call; the answer says whether there are more. Delays are kept, times that were asked for
        stay.
        """

    def hint_after_commit(self, jobs: Sequence[NewJob]) -> None:
        """Let sleeping workers look for these jobs, which the caller inserted, once its transaction commits.

        May do nothing, and a hint may get lost: workers look by themselves as well.
        """

    def wait_for_hint(self, queue: str, seconds: float) -> bool | None:
        """Wait at most so long for word that there may be something to claim; None, at once: no word ever comes.

        Every method that makes a job due within a second, or room for one, sends word to the other workers: push, an
        exchange that settles, release, reap, promote, change, resume. It may get lost: who hears word looks once a
        second.
        """

    def pass_hint_on(self, queue: str) -> bool:
        """Let another process hear word that this one cannot use; False: each of them has heard it anyway."""

    def close(self) -> None:
        """Close the broker's own connections; the next call opens them again."""
