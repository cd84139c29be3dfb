"""What every broker does. An internal seam: `tests/contract/` runs the same tests over each broker.

Every method may be called from any thread and is atomic: it happened whole or not at all. All decisions about time
are made by the broker's own clock. Each raises `BrokerAway`, and nothing else, when its store cannot be reached: the
call may then have happened all the same. Repeating any call is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ..policy import QueuePolicy
from .records import (
    CancelAnswer,
    ClaimedJob,
    Exchange,
    Fact,
    FoundJob,
    LossRules,
    NewJob,
    ProcessRecord,
    PushReply,
    QueueCounts,
    Reaped,
    Released,
    Renewal,
    Rewound,
    Settled,
    Settlement,
)

#: The least pace guard of G7, in seconds: a slot is free again after `per` and the guard of its grant, and a job of a
#: limited queue that did not start within that guard is handed back, and its slot is free again.
PACE_GUARD = 0.020

#: Where `counts` stops unless it is to be exact: people read "10,000+".
COUNT_LIMIT = 10_000

LOSS_RULES = LossRules()


class Broker(Protocol):
    """Keeps the live jobs."""

    #: True when the job rows themselves are the queue: a committed row is queued, without a push
    rows_are_the_queue: bool

    def now(self) -> datetime:
        """The broker's time."""

    def clock_offset(self) -> float:
        """By how many seconds this machine's clock is ahead of the broker's (behind: below 0), at least.

        What the way there may have made of it is taken off. Measured at most every few seconds; told at `register` and
        `renew`, so that `jobs status` knows it of every machine.
        """

    # Jobs come in

    def push(self, queue: str, jobs: Sequence[NewJob], as_of: datetime | None = None) -> PushReply:
        """Take jobs of one queue in, all or none, answers in order. Idempotent by (id, run).

        A job whose key is held by another live job of its queue is not taken; the answer names the holder. Of two jobs
        in one call with the same key the first wins. A higher run of a dead letter begins that run, with fresh
        counters; a known id in any other state is left as it is. `as_of` is the broker's time before the jobs were
        read from the outbox: a store that forgets ids refuses what was read too long ago.
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
        """Settle what is finished and claim up to `wanted` jobs of the queue, in one trip.

        Each worker numbers its exchanges, upwards. The same number again, after a reply that was lost, brings the same
        reply and changes nothing; a lower one raises ValueError.

        Settle: counts only where the job is still active under the settlement's token; every ending frees the key,
        writes the attempt and the queue's counters. Where somebody else holds the job locked the answer is *busy*:
        nothing waits for it, and it is to be said again under the next number.

        Claim: due jobs by (priority, larger first, ready_at, id), none while the queue is paused or told to wait, no
        more than the rate limit and the global concurrency grant, and only for a worker whose lease has not ended (else
        nothing is claimed). A job whose `expires_at` has passed is not claimed: it ends as expired. A job lost
        `alone_after` times is claimed only with `alone=True`, and such a claim takes only those. Cancelled-while-active
        jobs that come back end as cancelled. A job of a limited queue whose function was never called gives its slot
        back with its settlement.
        """

    def release(self, process: ProcessRecord, *, lost: bool) -> Released:
        """End a dead process's lease now and give its jobs back.

        `lost=True` counts a loss for each (G2); False is an interruption, which counts nothing (G10). The process must
        be dead, or must not touch its jobs any more. A job that somebody holds locked remains, and never counts as lost
        later if it is not lost now.
        """

    def reap(self, queues: Sequence[str], grace: float = 0.0) -> Reaped:
        """Give back what the silent hold of these queues, and end what came too late.

        Jobs of processes whose lease ended more than `grace` seconds ago are lost; queued jobs whose `expires_at` has
        passed are expired. A job `dead_after` times lost: a dead letter. What somebody holds locked is left for later.
        """

    def waits_alone(self, queues: Sequence[str]) -> frozenset[str]:
        """Those of the queues with a due job that must run alone, where none such is active and no pause holds."""

    # An atomic task (G3): the three places where a store may act

    def begin_atomic(self, worker: UUID, policy: QueuePolicy, job: ClaimedJob) -> None:
        """First in the transaction of an atomic task on the jobs' database."""

    def settle_in_transaction(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> Settled:
        """Last in that transaction: settle the job; anything but *counted* means to roll back."""

    def after_atomic(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> None:
        """After that transaction has committed."""

    # One job

    def holds(self, queue: str, job_id: UUID, token: str) -> bool:
        """Whether the job is still active under this token."""

    def find(self, queue: str, job_id: UUID) -> FoundJob | None:
        """The job, if it is live with this broker."""

    def list_waiting(self, queue: str, after: UUID | None = None, limit: int = 100) -> Sequence[FoundJob]:
        """The queue's jobs that wait for a start or for their time, by id, those behind `after`."""

    def cancel(self, queue: str, job_id: UUID, reason: str) -> CancelAnswer | None:
        """Cancel a queued job or dead letter, ask an active one. None: the broker does not know the job."""

    def cancel_waiting(self, queue: str, job_ids: Sequence[UUID], reason: str) -> frozenset[UUID]:
        """Cancel those of these jobs that wait; returns which. One that runs, has ended or is a dead letter stays."""

    def promote(self, queue: str, job_id: UUID) -> bool:
        """Make a queued job due now; False: it is not queued, or is due already."""

    # A queue

    def pause(self, queue: str) -> None:
        """A claim begun after this returned takes nothing from the queue."""

    def resume(self, queue: str) -> None:
        """End a pause and what a provider's "slow down" had asked for."""

    def counts(self, queue: str, *, exact: bool = False) -> QueueCounts:
        """The queue's live jobs in numbers; each number stops counting at 10,000 unless `exact`."""

    # What the history is told, by a store that is not the rows

    def read_facts(self, queue: str, limit: int) -> Sequence[Fact] | None:
        """The oldest facts that were not forgotten yet. None: the rows are the queue, there are none."""

    def forget_facts(self, queue: str, ids: Sequence[str]) -> None:
        """Forget facts that the history holds now."""

    def lag(self, queue: str) -> float | None:
        """How many seconds the history is behind. None: the rows are the queue, it never is."""

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
        exchange that settles, release, reap, promote, resume. It may get lost: who hears word looks once a second.
        """

    def close(self) -> None:
        """Close the broker's own connections; the next call opens them again."""
