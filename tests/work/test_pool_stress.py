"""The pool under random delays, failures and lost replies, with a thread switch at every turn: nothing is lost.

Each round has a seed of its own, which a failure shows.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from jobs import Queue, clock
from jobs.broker.records import Answer, ClaimedJob, Completed, Exchange, HandedBack, Settled, Settlement
from jobs.errors import BrokerAway
from jobs.states import State
from jobs.work import exchanges
from jobs.work.pool import Pool

LANE = Queue("lane")


class Strange(Exception):
    """What no broker should raise."""


def claimed_job() -> ClaimedJob:
    now = clock.now()
    return ClaimedJob(clock.new_id(), 1, "lane", "app.task", "{}", 5, "1", 0, 0, 0, now, now)


@dataclass
class Store:
    """A broker that fails at random, before its work or after it, and that remembers its last reply by its number."""

    chance: random.Random
    away: float = 0.0  # how often it does not answer
    strange: float = 0.0  # how often it raises something else
    busy: float = 0.0
    delay: float = 0.0
    hands_out: bool = True
    waiting: deque[ClaimedJob] = field(default_factory=deque)
    active: set[UUID] = field(default_factory=set)
    settled: Counter[UUID] = field(default_factory=Counter)
    refused: Counter[UUID] = field(default_factory=Counter)
    outcomes: dict[UUID, Settlement] = field(default_factory=dict)
    last: tuple[int, tuple[Settlement, ...], Exchange] = (0, (), Exchange())
    wrong: list[str] = field(default_factory=list)
    speaking: int = 0
    strange_before: bool = False  # what fails like that twice cannot be written

    def report_trouble(self, worker: UUID, trouble: str) -> None:
        """Nothing of it matters here."""

    def report_dropped(self, worker: UUID, dropped: int) -> None:
        """Nothing of it matters here."""

    def exchange(
        self,
        worker: UUID,
        policy: object,
        settlements: Sequence[Settlement],
        wanted: int,
        *,
        number: int,
        alone: bool = False,
    ) -> Exchange:
        self.speaking += 1
        try:
            if self.speaking > 1:
                self.wrong.append("two threads speak")
            time.sleep(self.chance.random() * self.delay)
            afterwards = self.chance.random() < 0.5
            if not afterwards:
                self._fail()
            answer = self._answer(settlements, wanted, number)
            if afterwards:
                self._fail()
            return answer
        finally:
            self.speaking -= 1

    def _fail(self) -> None:
        if self.chance.random() < self.away:
            raise BrokerAway("away")
        self.strange_before, before = False, self.strange_before
        if not before and self.chance.random() < self.strange:
            self.strange_before = True
            raise self.chance.choice([Strange, MemoryError, KeyboardInterrupt])("strange")

    def _answer(self, settlements: Sequence[Settlement], wanted: int, number: int) -> Exchange:
        last, said, reply = self.last
        if number < last:
            self.wrong.append(f"number {number} after {last}")
        if number == last:
            if said != tuple(settlements):
                self.wrong.append(f"number {number} says something else")
            return reply
        answers = tuple(self._settle(settlement) for settlement in settlements)
        jobs = []
        while self.hands_out and self.waiting and len(jobs) < wanted:
            jobs.append(self.waiting.popleft())
        self.active.update(job.id for job in jobs)
        self.last = number, tuple(settlements), Exchange(answers, tuple(jobs), None)
        return self.last[2]

    def _settle(self, settlement: Settlement) -> Settled:
        id = settlement.job.id
        if id not in self.active:
            self.refused[id] += 1
            return Settled(Answer.REFUSED)
        if self.chance.random() < self.busy:
            return Settled(Answer.BUSY)
        self.active.discard(id)
        self.settled[id] += 1
        self.outcomes[id] = settlement
        return Settled(Answer.COUNTED, State.COMPLETED)


@pytest.fixture
def _tiny_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "FIRST_BACKOFF", 0.002)
    monkeypatch.setattr(exchanges, "LONGEST_BACKOFF", 0.02)
    monkeypatch.setattr(exchanges, "FIRST_BUSY", 0.002)
    monkeypatch.setattr(exchanges, "LONGEST_BUSY", 0.02)


def play(seed: int) -> None:
    """One round: every claimed job runs once and is settled once, on time, and the threads leave."""
    chance = random.Random(seed)
    size = chance.choice([1, 2, 3, 10, 30])
    number = chance.choice([0, 5, 60, 300])
    store = Store(
        random.Random(seed + 1),
        away=chance.choice([0, 0, 0.1, 0.4]),
        strange=chance.choice([0, 0, 0.1]),
        busy=chance.choice([0, 0, 0.2]),
        delay=chance.choice([0, 0, 0.002]),
    )
    long = chance.choice([0, 0.02, 0.3, 1])
    broken = chance.choice([0, 0, 0.05])
    hinted, closes_early = chance.random() < 0.5, chance.random() < 0.4
    lengths = random.Random(seed + 2)
    ran: Counter[UUID] = Counter()
    order: list[UUID] = []
    running, most = 0, 0
    lock = threading.Lock()

    def run(job: ClaimedJob) -> Settlement | None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            ran[job.id] += 1
            order.append(job.id)
            seconds = lengths.random() * 0.01 if lengths.random() < long else 0.0
            breaks = lengths.random() < broken
        try:
            began = clock.now()
            if seconds:
                time.sleep(seconds)
            if breaks:
                raise SystemExit(3)
            return Settlement(job, Completed(), began, clock.now())
        finally:
            with lock:
                running -= 1

    pool = Pool(LANE, store, clock.new_id(), run=run)  # type: ignore[arg-type]
    threads = [threading.Thread(target=pool.work, daemon=True) for _ in range(size)]
    for thread in threads:
        thread.start()
    accepted = []
    for _ in range(number):
        job = claimed_job()
        accepted.append(job.id)
        store.waiting.append(job)
        if chance.random() < 0.05:
            time.sleep(chance.random() * 0.01)
        if hinted and chance.random() < 0.2:
            pool.hear(chance.choice([True, True, True, False, None]))
    pool.hear(True if hinted else None)
    if not closes_early:
        _wait(lambda: sum(store.settled.values()) == number, 60, f"seed {seed}: not all is settled")
        _wait(lambda: not pool.held, 60, f"seed {seed}: something is held")
    began = time.monotonic()
    pool.close()
    for thread in threads:
        thread.join(max(0.0, began + 60 - time.monotonic()))
    told = f"seed {seed}: size {size}, number {number}, {store.away=} {store.strange=} {store.busy=} {long=} {broken=}"
    assert not any(thread.is_alive() for thread in threads), told
    assert not store.wrong, told
    assert pool.held == 0, told
    assert not store.active, told
    assert most <= size, told
    assert not [id for id, times in ran.items() if times > 1], told
    assert not store.refused, told
    assert not [id for id, times in store.settled.items() if times > 1], told
    unrun = [id for id in store.settled if id not in ran]
    assert all(isinstance(store.outcomes[id].outcome, HandedBack) for id in unrun), told
    assert closes_early or not unrun, told
    assert size > 1 or order == [id for id in accepted if id in ran], told


def _wait(condition: object, limit: float, text: str) -> None:
    end = time.monotonic() + limit
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, text
        time.sleep(0.0005)


@pytest.mark.usefixtures("_tiny_switches", "_short_backoff")
def test_under_random_failures_every_claimed_job_runs_once_and_is_settled_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("CRITICAL", "jobs")
    end = time.monotonic() + 2
    first = random.randrange(1_000_000)
    for seed in range(first, first + 40):
        play(seed)
        if time.monotonic() > end:
            break


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny_switches", "_short_backoff")
def test_under_random_failures_every_claimed_job_runs_once_and_is_settled_once_for_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("CRITICAL", "jobs")
    first = random.randrange(1_000_000)
    for seed in range(first, first + 400):
        play(seed)
