"""What the broker does alike on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from ...faults import point
from ...policy import QueuePolicy
from ...states import State
from ..changes import Change, ChangeAnswer
from ..contract import COUNT_LIMIT
from ..guard import Guard
from ..records import (
    CancelAnswer,
    ClaimedJob,
    Completed,
    Exchange,
    FoundJob,
    NewJob,
    ProcessRecord,
    Pushed,
    PushReply,
    PushStatus,
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
from ..tally import DISCARDED
from . import crowd, hints, release, rewind
from .aside import Tagging
from .change import change_job
from .connection import JobsDatabase, Trip
from .explaining import Explaining
from .grouped import Grouped
from .limits import Limited
from .one_store import OneStore
from .outcomes import token_number
from .reach import reaching
from .take import take_all
from .values import MAX_REASON, found_job, id_of, moment_of, tags_of, text_of
from .walks import Walks


class SharedBroker(Limited, Grouped, Explaining, Tagging, OneStore, ABC):
    """Keeps the live jobs in the database of one alias. See `jobs.broker.contract`."""

    rows_are_the_queue = True
    store = ""

    def __init__(self, alias: str) -> None:
        super().__init__()
        self._alias = alias
        self._database: JobsDatabase = self._connect(alias)
        self._guards: defaultdict[str, Guard] = defaultdict(Guard)
        self._walks: Walks = {}
        # by worker: the number of its last exchange, if that brought nothing, and the reply
        self._empty: dict[UUID, tuple[int, Exchange]] = {}

    @abstractmethod
    def _connect(self, alias: str) -> JobsDatabase:
        """The way to the database."""

    @abstractmethod
    def now(self) -> datetime:
        """The broker's time."""

    @abstractmethod
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
        """Settle and claim; see the contract."""

    @abstractmethod
    def settle_in_transaction(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> Settled:
        """Settle one job in the caller's transaction; see the contract."""

    @abstractmethod
    def clock_offset(self) -> float:
        """How far this machine's clock is ahead of the broker's; see the contract."""

    @reaching
    def push(self, queue: str, jobs: Sequence[NewJob], as_of: datetime | None = None) -> PushReply:
        """Take jobs in, all or none; see the contract. A row is pushed by its state, so `as_of` is needless here."""
        check_queue(queue, jobs)
        if not jobs:
            return PushReply()
        limited = crowd.limited(jobs)
        if len(jobs) == 1 and jobs[0].key is None and not limited:
            # one statement needs no transaction around it
            with self._database.on_django() as trip:
                if trip.insert(jobs[0]):
                    trip.told |= hints.queues_of(jobs)
                    point("push.after_commit")
                    return PushReply((Pushed(jobs[0].id, PushStatus.ACCEPTED),))
        with self._database.write_synced() as trip:
            trip.lock_names((queue, crowd.lock_of(name)) for name in limited)
            answers = take_all(trip, jobs)
            if limited:
                crowd.refuse_too_many(trip, queue, jobs, answers)
            trip.told |= hints.queues_of(jobs)
            point("push.before_commit")
        point("push.after_commit")
        return PushReply(answers)

    @reaching
    def register(self, process: ProcessRecord, lease: float) -> None:
        """Make a process known, with a lease."""
        clock_offset = self.clock_offset()
        with self._database.write() as trip:
            trip.run(
                "register_process",
                id=process.id.hex,
                kind=process.kind,
                queue=process.queue,
                host=process.host,
                pid=process.pid,
                concurrency=process.concurrency,
                now=trip.text_now,
                lease_until=text_of(trip.now + timedelta(seconds=lease)),
                lease=lease,
                clock_offset=clock_offset,
            )

    @reaching
    def renew(self, processes: Sequence[UUID], lease: float) -> Renewal:
        """Let leases end later; see the contract."""
        if not processes:
            return Renewal()
        ids, clock_offset = json.dumps([process.hex for process in processes]), self.clock_offset()
        with self._database.write() as trip:
            until = text_of(trip.now + timedelta(seconds=lease))
            alive = trip.run(
                "renew_processes", ids=ids, now=trip.text_now, lease_until=until, lease=lease, clock_offset=clock_offset
            )
            asked = trip.run("read_cancel_requests", ids=ids)
        return Renewal(frozenset(id_of(id) for (id,) in alive), frozenset(id_of(id) for (id,) in asked))

    @reaching
    def report_trouble(self, worker: UUID, trouble: str) -> None:
        """Note for the status what keeps a process from working; see the contract."""
        with self._database.write() as trip:
            trip.run("report_trouble", worker=worker.hex, trouble=trouble, now=trip.text_now)

    @reaching
    def report_dropped(self, worker: UUID, dropped: int) -> None:
        """Note for the status how many news a process has dropped; see the contract."""
        with self._database.write() as trip:
            trip.run("report_dropped", worker=worker.hex, dropped=dropped, now=trip.text_now)

    def processes(self) -> Sequence[SeenProcess] | None:
        """None: the rows say it."""
        return None

    def _known_walks(self) -> Walks:
        """What long walks have found; what is seen in the caller's transaction may be rolled back."""
        return {} if self._database.in_callers_transaction else self._walks

    def _remember(self, worker: UUID, number: int, answer: Exchange) -> Exchange:
        """Keep a reply that brought nothing: it is not written down, that would be a write for each idle look."""
        self._empty[worker] = number, answer
        return answer

    def _remembered(self, worker: UUID, number: int) -> Exchange | None:
        last, answer = self._empty.get(worker, (0, None))
        if number < last:
            raise ValueError(f"exchange number {number}: this worker has made exchange {last} already")
        return answer if number == last else None

    def begin_atomic(self, worker: UUID, policy: QueuePolicy, job: ClaimedJob) -> Completed | None:
        """None: the settle in the transaction fences it."""
        return None

    def has_committed(self, job: ClaimedJob) -> bool:
        """Whether the job is not this worker's any more: the settle was part of the transaction."""
        return not self.holds(job.queue, job.id, job.token)

    def after_atomic(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> bool:
        """True: the settle was part of the transaction."""
        return True

    @reaching
    def holds(self, queue: str, job_id: UUID, token: str) -> bool:
        """Whether the job is still active under this token."""
        number = token_number(token)
        with self._database.read() as trip:
            return number is not None and bool(trip.run("read_hold", queue=queue, id=job_id.hex, token=number))

    @reaching
    def find(self, queue: str, job_id: UUID) -> FoundJob | None:
        """The job, if it is live."""
        with self._database.read() as trip:
            found = trip.run("find_job", queue=queue, id=job_id.hex)
        return found_job(found[0]) if found else None

    def find_all(self, queue: str, job_ids: Sequence[UUID]) -> Sequence[FoundJob]:
        """Those of these jobs that are live."""
        return [found for id in job_ids if (found := self.find(queue, id)) is not None]

    def list_active(self, queue: str) -> frozenset[UUID]:
        """None: the rows are the queue."""
        return frozenset()

    @reaching
    def list_waiting(self, queue: str, after: str = "", limit: int = 100) -> WaitingPage:
        """The queue's jobs that wait, by id; a position is the last one's id."""
        with self._database.read() as trip:
            found = trip.run("list_waiting", queue=queue, after=after or None, limit=limit)
        jobs = tuple(found_job(row) for row in found)
        return WaitingPage(jobs, jobs[-1].id.hex if len(jobs) == limit else "")

    @reaching
    def release(self, process: ProcessRecord, *, lost: bool) -> Released:
        """End a dead process's lease and give its jobs back; see the contract."""
        self._empty.pop(process.id, None)
        return release.release(self._database, process, lost=lost)

    @reaching
    def reap(self, queues: Sequence[str], *, before: datetime | None = None, blame: bool = True) -> Reaped:
        """Give back what the silent hold, and end what came too late; at most 1,000 expired jobs a call."""
        return release.reap(self._database, queues, (before or self.now()) if blame else None)

    @reaching
    def waits_alone(self, queues: Sequence[str]) -> frozenset[str]:
        """Which queues need a process for a job that must run alone; see the contract."""
        with self._database.read() as trip:
            found = trip.run("read_alone_queues", queues=json.dumps(list(queues)), now=trip.text_now)
        return frozenset(queue for (queue,) in found)

    @reaching
    def cancel(self, queue: str, job_id: UUID, reason: str, *, pending_run: int = 0) -> CancelAnswer | None:
        """Cancel a waiting job or a dead letter, ask an active one; see the contract."""
        with self._database.write_synced() as trip:
            trip.lock_job(job_id)
            values = {"queue": queue, "id": job_id.hex, "reason": reason[:MAX_REASON]}
            now = trip.text_now
            cancelled = trip.run("cancel_waiting", **values, now=now)
            for _queue, task in cancelled:
                trip.count(queue, task, State.CANCELLED)
                return CancelAnswer.CANCELLED
            # not as cancelled: this job was counted when it failed
            for _queue, task in trip.run("discard_failed", **values, now=now):
                trip.count(queue, task, DISCARDED)
                return CancelAnswer.CANCELLED
            if trip.run("request_cancel", **values):
                return CancelAnswer.ASKED
            found = trip.run("read_job", id=job_id.hex, now=now)
            return CancelAnswer.ENDED if found and found[0][3] == queue else None

    @reaching
    def cancel_waiting(self, queue: str, job_ids: Sequence[UUID], reason: str) -> frozenset[UUID]:
        """Cancel those of these jobs that wait, in one transaction; see the contract."""
        ids = json.dumps([job_id.hex for job_id in job_ids])
        with self._database.write_synced() as trip:
            cancelled = trip.run(
                "cancel_waiting_jobs", queue=queue, ids=ids, reason=reason[:MAX_REASON], now=trip.text_now
            )
            for _id, task in cancelled:
                trip.count(queue, task, State.CANCELLED)
        return frozenset(id_of(id) for id, _task in cancelled)

    @reaching
    def promote(self, queue: str, job_id: UUID) -> bool:
        """Make a queued job due now; False: it is not queued, or is due already."""
        with self._database.write_synced() as trip:
            promoted = bool(trip.run("promote_job", queue=queue, id=job_id.hex, now=trip.text_now))
            if promoted:
                trip.told.add(queue)
        return promoted

    @reaching
    def change(self, queue: str, job_id: UUID, change: Change) -> ChangeAnswer | None:
        """Change a job that waits; see the contract."""
        with self._database.write_synced() as trip:
            return change_job(trip, queue, job_id, change)

    @reaching
    def holder(self, queue: str, key: str) -> UUID | None:
        """The job that a key is answered with; see the contract."""
        with self._database.read() as trip:
            found = trip.run("read_key_holder", queue=queue, key=key)
            found = found or trip.run("read_throttle", queue=queue, key=key, now=trip.text_now)
        return id_of(found[0][0]) if found else None

    @reaching
    def release_key(self, queue: str, key: str, job_id: UUID) -> bool:
        """Let a key be free whose job this is; see the contract."""
        values = {"queue": queue, "key": key, "id": job_id.hex}
        with self._database.write_synced() as trip:
            released = trip.run("release_key", **values)
            return bool(trip.run("end_throttle", **values) or released)

    def queues(self) -> frozenset[str]:
        """None: every job has its row."""
        return frozenset()

    @reaching
    def pause(self, queue: str) -> None:
        """A claim begun after this returned takes nothing from the queue."""
        with self._database.write_synced() as trip:
            trip.run("pause_queue", queue=queue, now=trip.text_now)

    @reaching
    def resume(self, queue: str) -> None:
        """End a pause and what a provider's "slow down" had asked for."""
        with self._database.write_synced() as trip:
            trip.run("resume_queue", queue=queue)
            trip.told.add(queue)

    @reaching
    def pause_worker(self, queue: str, worker: UUID, *, paused: bool) -> bool:
        """Let a worker claim nothing more, or claim again; see the contract."""
        with self._database.write_synced() as trip:
            found = trip.run("pause_worker", worker=worker.hex, paused=paused)
            trip.told.update(queue for (queue,) in found if not paused)
        return bool(found)

    @reaching
    def counts(self, queue: str, *, exact: bool = False) -> QueueCounts:
        """The queue's live jobs in numbers; each stops counting at 10,000 unless `exact`."""
        most = None if exact else COUNT_LIMIT
        with self._database.read() as trip:
            now = trip.now
            statement = "count_every_live_job" if exact else self._counting(trip)
            waiting, scheduled, active = trip.run(statement, queue=queue, now=trip.text_now)[0]
            heads = trip.run("read_heads", queue=queue) + trip.run("read_alone_heads", queue=queue)
            paused, wait_until, *_, paused_tags, _, _ = trip.run("read_queue", queue=queue)[0]
        due = [moment for _, head in heads if head is not None and (moment := moment_of(head)) <= now]
        blocked_until = None if wait_until is None else moment_of(wait_until)
        return QueueCounts(
            waiting=min(waiting, most or waiting),
            scheduled=min(scheduled, most or scheduled),
            active=active,
            oldest_ready_at=min(due, default=None),
            paused=bool(paused),
            paused_tags=tags_of(paused_tags),
            blocked_until=blocked_until if blocked_until and blocked_until > now else None,
        )

    def _counting(self, trip: Trip) -> str:
        """The statement that counts up to 10,000 of each kind."""
        return "count_live_jobs"

    @reaching
    def rewind(self) -> Rewound:
        """Let nothing that waits wait for a moment counted from a time to come; see the contract."""
        with self._database.write() as trip:
            moved = rewind.rewind_jobs(trip)
        with self._database.write() as trip:
            held = rewind.rewind_waits(trip)
        return replace(moved, ahead=max(moved.ahead, held))

    def hint_after_commit(self, jobs: Sequence[NewJob]) -> None:
        """Wake the workers of these jobs' queues once they are committed: one hint a transaction and queue."""
        self._database.tell(hints.queues_of(jobs))

    def wait_for_hint(self, queue: str, seconds: float) -> bool | None:
        """Wait at most so long for a hint about the queue; None: none can be heard; see the contract."""
        return self._database.listen(queue, seconds)

    def pass_hint_on(self, queue: str) -> bool:
        """Nothing: everybody has heard it."""
        return False

    def close(self) -> None:
        """Close the broker's own connections; the next call opens them again."""
        self._database.close()


def check_queue(queue: str, jobs: Sequence[NewJob]) -> None:
    """Raise ValueError unless all jobs are of the queue."""
    if others := {job.queue for job in jobs} - {queue}:
        raise ValueError(f"push({queue!r}): the jobs are of {', '.join(sorted(others))}; push each queue's by itself")


def pass_exchange(where: str, settlements: Sequence[Settlement], claimed: object) -> None:
    """Pass the fault points of a trip that settles, or claims, or both."""
    if settlements:
        point(f"settle.{where}")
    if claimed:
        point(f"claim.{where}")
