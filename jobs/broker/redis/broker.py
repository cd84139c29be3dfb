"""The broker on Redis: says in scripts what the contract says in words. See `jobs.broker.contract`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from ... import clock
from ...errors import BrokerAway, PushedTooLate, QueueBroken
from ...faults import point
from ...policy import QueuePolicy
from ...states import State
from ..contract import LEFT
from ..guard import Guard
from ..markers import Markers
from ..records import (
    Answer,
    CancelAnswer,
    Exchange,
    FoundJob,
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
from .address import store_of
from .atomic import AtomicTasks
from .changing import Changing
from .examining import Examining
from .explaining import Explaining
from .grouping import Grouping, full_group, group_rules
from .limits import Limited
from .lives import FORMER, Recovering
from .moments import micros, moment, moment_or_none, span
from .processes import Vanished, seen_process, write_process
from .scripts import COMMON, Scripts, decode
from .shared_limits import NOTHING, SharedLimits, limit_rules, wait_of
from .telling import Telling
from .values import (
    claimed_jobs,
    comes_back_soon,
    decode_pushed,
    decode_registered,
    found_job,
    id_of,
    id_word,
    new_job,
    pushed,
    ruled_job,
    settled_words,
    told_of,
    waiting_page,
)
from .waiting import Waiting

#: The longest guard of a grant, in seconds: one that ends later is of a clock that was set back (`lua/parts/pace.lua`).
LONGEST_GUARD = 1.0
#: Seconds between two looks at the difference of the clocks.
LOOK_AT_CLOCKS = 10.0

_REFUSED = Settled(Answer.REFUSED)
_COUNTED = {str(state): Settled(Answer.COUNTED, state) for state in State}


class RedisBroker(Recovering, Telling, Changing, Grouping, Examining, Explaining, Limited, AtomicTasks):
    """Keeps the live jobs of one namespace on a Redis server."""

    rows_are_the_queue = False

    def __init__(self, url: str, namespace: str, protocol: int = 2, *, markers: Markers | None = None) -> None:
        self._given_markers = markers
        self.store = store_of(url, namespace)
        self._scripts = Scripts(url, namespace, protocol)
        self._server = self._scripts.server
        super().__init__(self._scripts)
        self._waiting = Waiting(self._server, self._scripts)
        self._shared = SharedLimits(self._scripts)
        self._guards: defaultdict[str, Guard] = defaultdict(Guard)
        # by process: its queue
        self._queues: dict[UUID, str] = {}
        self._offset, self._offset_at = 0.0, float("-inf")
        self._vanished = Vanished()

    def now(self) -> datetime:
        """The server's time."""
        return moment(self._run("now", COMMON))

    def clock_offset(self) -> float:
        """By how much this machine's clock is ahead of the server's, at least; see the contract."""
        if clock.monotonic() - self._offset_at >= LOOK_AT_CLOCKS:
            before, there, after = clock.now(), self.now(), clock.now()
            ahead, behind = (before - there).total_seconds(), (there - after).total_seconds()
            self._offset = ahead if ahead > 0 else min(0.0, -behind)
            self._offset_at = clock.monotonic()
        return self._offset

    # Jobs come in

    def push(self, queue: str, jobs: Sequence[NewJob], as_of: datetime | None = None) -> PushReply:
        """Take jobs in, all or none; see the contract."""
        if others := {job.queue for job in jobs} - {queue}:
            names = ", ".join(sorted(others))
            raise ValueError(f"push({queue!r}): the jobs are of {names}; push each queue's by itself")
        if not jobs:
            return PushReply()
        self._scripts.note_queue(queue)
        point("push.before_commit")
        told, read_at = map(told_of, jobs), False if as_of is None else micros(as_of)
        if all(job.rule is None for job in jobs):
            answer = self._scripts.run("push", queue, *told, jobs=[new_job(job) for job in jobs], as_of=read_at)
        else:
            windows: dict[str, int] = {}
            ruled = [ruled_job(job, windows) for job in jobs]
            beside = [f"throttle:{key}" for key in windows]
            answer = self._scripts.run(
                "push", queue, *told, beside=beside, jobs=ruled, as_of=read_at, windows=len(windows)
            )
        point("push.after_commit")
        if (told := decode_pushed(answer)) is None:
            raise PushedTooLate("the jobs were read from the outbox too long ago; they are read again", undone=True)
        answers, generation, sequence = told
        if not answers:
            raise full_group(jobs, generation) if sequence < 0 else BrokerAway(LEFT, undone=True)
        self._scripts.note_generation(queue, generation)
        return PushReply(tuple(map(pushed, jobs, answers)), generation, sequence)

    # Workers

    def register(self, process: ProcessRecord, lease: float) -> None:
        """Make a process known, with a lease."""
        queue = process.queue or COMMON
        self._scripts.note(queue, {process.id.hex: queue})
        self._queues[process.id] = queue
        known = [[process.label, write_process(process)]]
        self._register(queue, [process.id.hex], lease, known)

    def renew(self, processes: Sequence[UUID], lease: float) -> Renewal:
        """Let leases end later; see the contract."""
        alive: set[UUID] = set()
        asked: set[UUID] = set()
        failure: QueueBroken | None = None
        for queue, ids in self._by_queue(processes).items():
            try:
                processes_alive, jobs_asked = self._register(queue, ids, lease, False)
            except QueueBroken as error:  # the leases of the other queues do not end with it
                failure = error
            else:
                alive.update(map(UUID, processes_alive))
                asked.update(map(id_of, jobs_asked))
        if failure is not None:
            raise failure
        return Renewal(frozenset(alive), frozenset(asked))

    def pause_worker(self, queue: str, worker: UUID, *, paused: bool) -> bool:
        """Let a worker claim nothing more, or claim again; see the contract."""
        return bool(self._run("pause_worker", queue, worker=worker.hex, paused=paused))

    def report_trouble(self, worker: UUID, trouble: str) -> None:
        """Note for the status what keeps a process from working; see the contract."""
        self._report(worker, "trouble", trouble)

    def report_dropped(self, worker: UUID, dropped: int) -> None:
        """Note for the status how many news a process has dropped; see the contract."""
        self._report(worker, "dropped", str(dropped))

    def processes(self) -> Sequence[SeenProcess]:
        """Every process that holds a lease, or was not reaped yet."""
        reports = self._scripts.command("HGETALL", COMMON, "processes")
        if not isinstance(reports, dict):
            reports = dict(zip(reports[::2], reports[1::2], strict=True))
        found, is_whole = [], True
        for queue in (*sorted(self.queues()), COMMON):
            known = self._scripts.try_run("processes", queue)
            is_whole = is_whole and known is not None
            for id, told in known or ():
                trouble, dropped = (reports.get(f"{id}:{name}".encode(), b"") for name in ("trouble", "dropped"))
                found.append(seen_process(UUID(id), "" if queue == COMMON else queue, told, trouble, dropped))
        if is_whole:
            self._forget_processes(self._vanished.look(reports, {one.record.id for one in found}))
        return found

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
        """Settle and claim in one step; see the contract."""
        if not settlements and wanted <= 0:
            return Exchange()
        if settlements:
            point("settle.before")
        if wanted > 0:
            point("claim.before")
        limit, guard, began = policy.rate_limit, self._guards[policy.name], clock.monotonic()
        guarded = min(guard.seconds, LONGEST_GUARD)
        ask: dict[str, Any] = {"wanted": wanted, "alone": alone, "word": any(map(comes_back_soon, settlements))}
        ask["guard"] = span(guarded)
        if limit:
            ask |= {"limit": limit.limit, "per": span(limit.per)}
        if policy.global_concurrency:
            ask["most"] = policy.global_concurrency
        ask |= group_rules(policy)
        reserved = self._shared.reserve(policy, worker, number, wanted, guarded) if policy.limits else NOTHING
        ask |= limit_rules(policy, reserved)
        name, many = worker.hex, len(settlements)
        words = settled_words(name, settlements)
        answer = self._scripts.run("exchange", policy.name, *words, worker=name, number=number, many=many, **ask)
        if isinstance(answer, int):
            raise ValueError(f"exchange number {number}: this worker has made exchange {answer} already")
        head, generation, age, *claimed = answer
        if settlements:
            point("settle.after_commit")
        if claimed:
            point("claim.after_commit")
        # where there are grants, within which time the jobs are to start
        states, wait, at, life, first, *more = decode(head)
        if FORMER in states:
            states = self._lives.testify(worker, policy, settlements, states)
        paced, short = (*more, None, None)[:2]
        if paced or reserved.starts:
            guard.learn(clock.monotonic() - began)
        start_within = paced / 1_000_000 if paced else None
        jobs = claimed_jobs(policy.name, claimed, life, first, moment(at), began - age / 1_000_000, start_within)
        longest = None if wait is False else wait / 1_000_000
        if policy.limits:
            self._shared.settle(settlements)
            lacked = [limit for limit in short or () if limit not in policy.rooms]
            jobs = self._shared.take(policy, reserved, jobs, lacked, guarded)
            longest = wait_of(reserved, lacked, longest)
        self._lives.note_exchange(worker, policy.name, generation.decode(), settlements, jobs)
        return Exchange(
            settled=tuple(_COUNTED.get(state, _REFUSED) for state in states),
            jobs=jobs,
            wait=longest,
        )

    def release(self, process: ProcessRecord, *, lost: bool) -> Released:
        """End a dead process's lease and give its jobs back; see the contract."""
        point("release.before_commit")
        queue = process.queue or COMMON
        moved = self._run("release", queue, worker=process.id.hex, label=process.label, lost=lost)
        self._forget_processes([process.id])
        point("release.after_commit")
        return Released(moved)

    def reap(self, queues: Sequence[str], *, before: datetime | None = None, blame: bool = True) -> Reaped:
        """Give back what the silent hold, and end what came too late; see the contract."""
        reaped = Reaped()
        for queue in (*queues, COMMON):
            moved = self._scripts.try_run("reap", queue, before=before and micros(before), blame=blame)
            lost, failed, expired, gone = moved or (0, 0, 0, ())
            reaped = Reaped(reaped.lost + lost, reaped.failed + failed, reaped.expired + expired)
            self._forget_processes([UUID(process) for process in gone])
        point("reap.after_commit")
        return reaped

    def waits_alone(self, queues: Sequence[str]) -> frozenset[str]:
        """Which queues need a process for a job that must run alone; see the contract."""
        return frozenset(queue for queue in queues if self._scripts.try_run("waits_alone", queue))

    # One job

    def find(self, queue: str, job_id: UUID) -> FoundJob | None:
        """The job, if it is live."""
        return next(iter(self._find(queue, [job_id])), None)

    def find_all(self, queue: str, job_ids: Sequence[UUID]) -> Sequence[FoundJob]:
        """Those of these jobs that are live."""
        return self._find(queue, job_ids)

    def list_active(self, queue: str) -> frozenset[UUID]:
        """The queue's jobs that run now."""
        return frozenset(UUID(bytes=id) for id in self._scripts.command("HKEYS", queue, "active"))

    def list_waiting(self, queue: str, after: str = "", limit: int = 100) -> WaitingPage:
        """Some of the queue's jobs that wait: what is due by its order, then the others by their time."""
        return waiting_page(queue, self._scripts.run("list_waiting", queue, bytes.fromhex(after), limit=limit))

    def cancel(self, queue: str, job_id: UUID, reason: str, *, pending_run: int = 0) -> CancelAnswer | None:
        """Cancel a waiting job or a dead letter, ask an active one; see the contract."""
        (answer,) = self._run("cancel", queue, ids=[id_word(job_id)], reason=reason, also=True, run=pending_run)
        return CancelAnswer(answer) if answer else None

    def cancel_waiting(self, queue: str, job_ids: Sequence[UUID], reason: str) -> frozenset[UUID]:
        """Cancel those of these jobs that wait; see the contract."""
        answers = self._run("cancel", queue, ids=[id_word(id) for id in job_ids], reason=reason, also=False, run=0)
        return frozenset(id for id, answer in zip(job_ids, answers, strict=True) if answer)

    # A queue

    def queues(self) -> frozenset[str]:
        """Every queue that a job was pushed to, or that a process works."""
        names = self._scripts.command("SMEMBERS", COMMON, "queues")
        return frozenset(name.decode() for name in names) - {COMMON}

    def pause(self, queue: str) -> None:
        """A claim begun after this returned takes nothing from the queue."""
        self._run("hold", queue, paused=True)

    def resume(self, queue: str) -> None:
        """End a pause and what a provider's "slow down" had asked for."""
        self._run("hold", queue, paused=False)

    def counts(self, queue: str, *, exact: bool = False) -> QueueCounts:
        """The queue's live jobs in numbers, which are exact at once."""
        waiting, scheduled, active, oldest, paused, wait_until, vanished, tags = self._run("count", queue)
        since, until = moment_or_none(oldest), moment_or_none(wait_until)
        return QueueCounts(waiting, scheduled, active, since, paused, until, vanished, tuple(sorted(tags or ())))

    # Hints

    def rewind(self) -> Rewound:
        """Let nothing that waits wait for a moment counted from a time to come; see the contract."""
        done = Rewound()
        for queue in sorted(self.queues()):
            jobs, ahead, more = self._scripts.try_run("rewind", queue) or (0, 0, False)
            done = Rewound(done.jobs + jobs, max(done.ahead, ahead / 1_000_000), done.more or more)
        return done

    def hint_after_commit(self, jobs: Sequence[NewJob]) -> None:
        """Nothing: what a transaction enqueued is pushed after its commit, and the push says it."""

    def wait_for_hint(self, queue: str, seconds: float) -> bool | None:
        """Wait at most so long for a token of the queue; see the contract."""
        return self._waiting.wait(queue, seconds)

    def pass_hint_on(self, queue: str) -> bool:
        """Put back a token that this process took and cannot use."""
        self._scripts.command("RPUSH", queue, "wake", 1)
        return True

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._waiting.close()
        self._server.close()

    # What they share

    def _register(
        self, queue: str, processes: Sequence[str], lease: float, known: Any
    ) -> tuple[list[str], list[msgspec.Raw]]:
        ask: dict[str, Any] = {
            "lease": span(lease),
            "clock_offset": span(self.clock_offset()),
            "most": self.most_of_a_queue(),
        }
        return decode_registered(self._scripts.run("register", queue, processes=processes, known=known, **ask))

    def _run(self, script: str, queue: str, **ask: Any) -> Any:
        return decode(self._scripts.run(script, queue, **ask))

    def _find(self, queue: str, ids: Sequence[UUID]) -> list[FoundJob]:
        found = self._scripts.run("find", queue, ids=[id_word(id) for id in ids])
        each = zip(ids, found[::3], found[1::3], found[2::3], strict=True)
        return [found_job(queue, id, raw, hold, asked) for id, raw, hold, asked in each if raw is not None]

    def _by_queue(self, processes: Sequence[UUID]) -> dict[str, list[str]]:
        unknown = [process for process in processes if process not in self._queues]
        if unknown:
            names = self._scripts.command("HMGET", COMMON, "processes", *(process.hex for process in unknown))
            self._queues.update({id: name.decode() for id, name in zip(unknown, names, strict=True) if name})
        by_queue: dict[str, list[str]] = {}
        for process in processes:
            if queue := self._queues.get(process):
                by_queue.setdefault(queue, []).append(process.hex)
        return by_queue

    def _forget_processes(self, processes: Sequence[UUID]) -> None:
        if processes:
            fields = [process.hex + name for process in processes for name in ("", ":trouble", ":dropped")]
            self._scripts.command("HDEL", COMMON, "processes", *fields)
        for process in processes:
            self._queues.pop(process, None)
            self._lives.forget(process)

    def _report(self, worker: UUID, name: str, text: str) -> None:
        told = f"{micros(self.now())} {text}" if text else ""
        self._scripts.note("", {f"{worker.hex}:{name}": told})
