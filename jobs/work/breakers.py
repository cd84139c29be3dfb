"""What a worker process knows of the circuit breakers of its queue's tasks, and what it tells of them.

The truth is one row a breaker in the jobs' database. Failures are counted there by the thread whose job has failed; a
watch looks twice a second which breakers are open, and lets this process probe where it is time and nobody else does.
Where the database is away nothing is counted, and what was open by itself is open for no longer than until its probe.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from .. import clock
from ..broker.records import ClaimedJob, Completed, Failed, Postponed, Retried, Settlement
from ..define.queue import Queue
from ..history.breakers import database_now, rows_of
from ..models import BreakerState
from ..operate.breakers import count_failure, end_probe, give_probe_back, prolong_probe, tell
from ..policy import Breaker, QueuePolicy

logger = logging.getLogger("jobs.worker")

#: Seconds until a database that was away is asked again to count a failure.
AWAY_FOR = 5.0
#: Seconds until this process probes again where it found no job for it, at first and at most.
FIRST_REST, LONGEST_REST = 0.5, 5.0
#: Which share of its time a probe may go unused: the claim that it allows must be over before another's may begin.
SURE = 0.9
#: So many times as long as between two probes nobody else probes while the job of one runs.
PATIENCE = 10


@dataclass(slots=True)
class _Probe:
    """That this process may start one job of a breaker until then, by `clock.monotonic()`; `job` is the one."""

    began: float
    until: float
    job: tuple[UUID, str] | None = None
    offered: bool = False  # a claim has asked for it
    unused: bool = False  # and found none


class Breakers:
    """The breakers of one queue in one process."""

    def __init__(self, queue: Queue, worker: UUID) -> None:
        self._rules = {breaker.name: breaker for task in queue.tasks.values() for breaker in task.breakers}
        self._names_of = queue.policy.breakers
        self._worker = worker
        self._lock = threading.Lock()
        # what follows changes under the lock; the first is replaced each time
        self._open: Mapping[str, float] = {}  # and until when, by monotonic time, without a word of the database
        self._probes: dict[str, _Probe] = {}
        self._rests: dict[str, tuple[float, float]] = {}
        self._changes = 0
        self._away_until = 0.0
        self._wake: Callable[[], None] = lambda: None
        self._ring: Callable[[], None] = lambda: None
        self._has_room: Callable[[], bool] = lambda: False
        self._announce: Callable[[Callable[[], None]], None] = lambda news: news()

    def begin(
        self,
        *,
        wake: Callable[[], None],
        ring: Callable[[], None],
        has_room: Callable[[], bool],
        announce: Callable[[Callable[[], None]], None],
    ) -> None:
        """From now on probe where `has_room`, and `wake` who claims, `ring` who looks, when there is something new."""
        self._wake, self._ring, self._has_room, self._announce = wake, ring, has_room, announce

    # What a claim asks

    @property
    def are_open(self) -> bool:
        """Whether any is, as far as this process knows."""
        return bool(self._open)

    def over(self, policy: QueuePolicy) -> QueuePolicy:
        """The policy of the next claim: which breakers have no room, or room for one job that probes."""
        if not self._open:
            return policy
        with self._lock:
            now, rooms = clock.monotonic(), dict.fromkeys(self._open, 0)
            for name, probe in self._probes.items():
                if name in rooms and probe.job is None and not probe.unused and now < probe.until:
                    rooms[name], probe.offered = 1, True
        return replace(policy, rooms=rooms)

    def claimed(self, jobs: Sequence[ClaimedJob], wanted: int) -> None:
        """Note which of the claimed jobs is a probe, and where there was none for it."""
        if not self._probes:
            return
        with self._lock:
            for name, probe in self._probes.items():
                if probe.job is None and probe.offered:
                    mine = [job for job in jobs if name in self._names_of.get(job.task, ())]
                    probe.job = (mine[0].id, mine[0].token) if mine else None
                    probe.unused = not mine and len(jobs) < wanted
            is_unused = any(probe.unused for probe in self._probes.values())
        if is_unused:
            self._ring()

    # What a job tells

    def ended(self, job: ClaimedJob, settlement: Settlement | None) -> None:
        """Count how a job has ended; None: nobody knows."""
        names = self._names_of.get(job.task)
        if not names:
            return
        outcome = None if settlement is None else settlement.outcome
        counted = outcome.counts_for if isinstance(outcome, (Failed, Retried)) else ()
        if not (counted or self._probes):
            return
        with self._lock:
            probed = [name for name in names if name in self._probes and self._probes[name].job == (job.id, job.token)]
        for name in probed:
            self._end_probe(name, settlement, has_failed=name in counted)
        for name in counted:
            if name not in probed:
                self._count(self._rules[name])

    def _count(self, rule: Breaker) -> None:
        if rule.name in self._open or clock.monotonic() < self._away_until:
            return
        try:
            is_open, is_news = count_failure(rule)
        except Exception as error:  # the job has ended all the same
            self._complain(error)
            return
        if is_open:
            with self._lock:
                self._changes += 1
                self._open = {**self._open, rule.name: self._word_lasts_until(rule)}
        if is_news:
            self._announce(partial(tell, rule.name, opened=True))

    def _end_probe(self, name: str, settlement: Settlement | None, *, has_failed: bool) -> None:
        rule, outcome = self._rules[name], None if settlement is None else settlement.outcome
        was_called = settlement is not None and settlement.started_at is not None
        has_answer = was_called and isinstance(outcome, (Completed, Retried, Failed)) and not has_failed
        is_over = False
        try:
            if has_answer or has_failed or isinstance(outcome, Postponed):
                is_over = end_probe(rule, self._worker, well=has_answer) and has_answer
            else:
                give_probe_back(name, self._worker)
        except Exception as error:  # then its time runs out
            self._complain(error)
        with self._lock:
            self._changes += 1
            self._probes.pop(name, None)
            self._rests.pop(name, None)
            if is_over:
                self._open = {one: until for one, until in self._open.items() if one != name}
        if is_over:
            self._announce(partial(tell, name, opened=False))
            self._wake()

    # What the watch does

    def look(self) -> None:
        """Look once which are open; where the database is away, what held before goes on holding for a while."""
        before, known = self._changes, self._open
        if clock.monotonic() < self._away_until:
            self._let_go()
            return
        try:
            rows = [row for row in rows_of(self._rules) if row.opened_at is not None]
            self._attend_probes()
            won = self._try_to_probe(rows) if rows else []
        except Exception as error:
            self._complain(error)
            self._let_go()
            return
        is_new = bool(won)
        with self._lock:
            if self._changes == before:  # else it was read before that
                self._open = {row.name: self._word_lasts_until(self._rules[row.name], row) for row in rows}
                is_new = is_new or bool(known.keys() - self._open.keys())
                self._rests = {name: rest for name, rest in self._rests.items() if name in self._open}
        if is_new:
            self._wake()

    def end(self) -> None:
        """Give back what this process has not used: it ends."""
        self._has_room = lambda: False
        with self._lock:
            mine = list(self._probes)
            self._probes.clear()
        try:
            for name in mine:
                give_probe_back(name, self._worker)
        except Exception as error:  # then their time runs out
            self._complain(error)

    def _try_to_probe(self, rows: Sequence[BreakerState]) -> Collection[str]:
        if not self._has_room():
            return []
        won, began, now = [], clock.monotonic(), database_now()
        for row in rows:
            rule = self._rules[row.name]
            if row.name in self._probes or began < self._rests.get(row.name, (0.0, 0.0))[0]:
                continue
            if row.may_be_probed(rule, now) and row.begin_probe(rule, self._worker, now):
                with self._lock:
                    self._probes[row.name] = _Probe(began, began + rule.probe_after * SURE)
                won.append(row.name)
        return won

    def _attend_probes(self) -> None:
        """Give those back for which there was no job, and keep those whose job runs."""
        now = clock.monotonic()
        for name, probe in list(self._probes.items()):
            rule = self._rules[name]
            if probe.job is not None:
                if now > probe.until - rule.probe_after * SURE / 2:
                    is_hung = now > probe.began + rule.probe_after * PATIENCE
                    if not is_hung and prolong_probe(rule, self._worker):
                        probe.until = now + rule.probe_after * SURE
                    else:
                        self._drop(name)
            elif probe.unused or now >= probe.until:
                self._drop(name)
                if probe.unused:  # else a claim may be under way: its time runs out a little later
                    give_probe_back(name, self._worker)
                rest = min(self._rests.get(name, (0.0, FIRST_REST / 2))[1] * 2, LONGEST_REST)
                self._rests[name] = now + rest, rest

    def _drop(self, name: str) -> None:
        with self._lock:
            self._probes.pop(name, None)

    def _let_go(self) -> None:
        """Without the database: let what was open by itself be closed, for this process, once its time is over."""
        now = clock.monotonic()
        with self._lock:
            over = [name for name, until in self._open.items() if now >= until]
            self._open = {name: until for name, until in self._open.items() if name not in over}
        if over:
            self._wake()

    @staticmethod
    def _word_lasts_until(rule: Breaker, row: BreakerState | None = None) -> float:
        by_hand = row is not None and row.by_hand
        return float("inf") if by_hand else clock.monotonic() + rule.probe_after

    def _complain(self, error: Exception) -> None:
        now = clock.monotonic()
        if now >= self._away_until:
            logger.warning("breakers_not_read %s: %s", type(error).__name__, error)
        self._away_until = now + AWAY_FOR


def breakers_of(queue: Queue, worker: UUID) -> Breakers | None:
    """The breakers of a queue; None: its tasks have none."""
    return Breakers(queue, worker) if queue.policy.breakers else None
