"""The pool of threads over a broker that is a list in memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import pytest

from jobs import Queue, clock, signals
from jobs.broker.records import Answer, ClaimedJob, Completed, Exchange, HandedBack, Settled, Settlement
from jobs.errors import BrokerAway
from jobs.states import State
from jobs.work.pool import Pool

LANE = Queue("lane")


def claimed_job() -> ClaimedJob:
    now = clock.now()
    return ClaimedJob(clock.new_id(), 1, "lane", "app.task", "{}", 5, "1", 0, 0, 0, now, now)


class Stub:
    """What the broker holds, and what it was told."""

    def __init__(self, number: int = 0) -> None:
        self.waiting = deque(claimed_job() for _ in range(number))
        self.settled: list[Settlement] = []
        self.trips: list[tuple[int, int]] = []  # settlements sent, jobs wanted
        self.together = 0
        self.most_together = 0
        self.failures = 0
        self.trip_time = 0.0

    def exchange(
        self, worker: object, policy: object, settlements: Sequence[Settlement], wanted: int, **options: object
    ) -> Exchange:
        self.together += 1
        self.most_together = max(self.together, self.most_together)
        try:
            time.sleep(self.trip_time)
            if self.failures:
                self.failures -= 1
                raise BrokerAway("away")
            self.trips.append((len(settlements), wanted))
            self.settled += settlements
            jobs = tuple(self.waiting.popleft() for _ in range(min(wanted, len(self.waiting))))
            return Exchange((Settled(Answer.COUNTED, State.COMPLETED),) * len(settlements), jobs, None)
        finally:
            self.together -= 1


def completed(job: ClaimedJob) -> Settlement:
    return Settlement(job, Completed())


class Crew:
    """A pool with its threads."""

    def __init__(self, queue: Stub, run: Callable[[ClaimedJob], Settlement | None], size: int, **options: int) -> None:
        self.pool = Pool(LANE, queue, clock.new_id(), run=run, **options)  # type: ignore[arg-type]
        self.threads = [threading.Thread(target=self.pool.work, daemon=True) for _ in range(size)]
        for thread in self.threads:
            thread.start()

    def join(self, limit: float = 5.0) -> None:
        end = time.monotonic() + limit
        for thread in self.threads:
            thread.join(max(0.0, end - time.monotonic()))
        assert not any(thread.is_alive() for thread in self.threads)

    def close(self) -> None:
        self.pool.close()
        self.join()


Start = Callable[..., Crew]


@pytest.fixture
def start() -> Iterator[Start]:
    crews: list[Crew] = []

    def begin(queue: Stub, run: Callable[[ClaimedJob], Settlement | None], size: int, **options: int) -> Crew:
        crews.append(Crew(queue, run, size, **options))
        return crews[-1]

    yield begin
    for crew in crews:
        crew.pool.close()


def wait_for(condition: Callable[[], object], limit: float = 5.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("size", [1, 3, 10])
def test_every_job_runs_once_and_is_settled_once(start: Start, size: int) -> None:
    queue = Stub(500)
    accepted = [job.id for job in queue.waiting]
    ran: list[ClaimedJob] = []
    crew = start(queue, lambda job: ran.append(job) or completed(job), size)
    wait_for(lambda: len(queue.settled) == 500)
    crew.close()

    assert sorted(job.id for job in ran) == sorted(accepted)
    assert sorted(settlement.job.id for settlement in queue.settled) == sorted(accepted)
    assert crew.pool.held == 0


def test_one_thread_at_a_time_speaks_to_the_broker(start: Start) -> None:
    queue = Stub(100)
    queue.trip_time = 0.002
    start(queue, completed, 8)
    wait_for(lambda: len(queue.settled) == 100)

    assert queue.most_together == 1


def test_never_more_jobs_are_held_than_threads_are_there(start: Start) -> None:
    queue, held = Stub(60), []

    def run(job: ClaimedJob) -> Settlement:
        time.sleep(0.003)
        held.append(crew.pool.held)
        return completed(job)

    crew = start(queue, run, 4)
    wait_for(lambda: len(queue.settled) == 60)

    # a settlement that waits for its trip is held too, beside the job that the thread has begun since
    assert max(wanted for _, wanted in queue.trips) <= 4
    assert max(held) <= 8


def test_jobs_run_side_by_side(start: Start) -> None:
    barrier = threading.Barrier(5, timeout=5)
    queue = Stub(5)
    start(queue, lambda job: (barrier.wait(), completed(job))[1], 5)
    wait_for(lambda: len(queue.settled) == 5)


def test_finished_job_is_settled_while_another_goes_on(start: Start) -> None:
    queue, release = Stub(2), threading.Event()
    long = queue.waiting[0]

    def run(job: ClaimedJob) -> Settlement:
        if job is long:
            release.wait(5)
        return completed(job)

    start(queue, run, 2)
    wait_for(lambda: len(queue.settled) == 1, 0.5)
    release.set()
    wait_for(lambda: len(queue.settled) == 2)


def test_free_thread_takes_new_work_while_others_are_busy(start: Start) -> None:
    queue, release = Stub(1), threading.Event()
    long = queue.waiting[0]
    start(queue, lambda job: (release.wait(5) if job is long else None, completed(job))[1], 3)
    wait_for(lambda: not queue.waiting)
    queue.waiting.append(claimed_job())

    wait_for(lambda: len(queue.settled) == 1, 1.0)
    release.set()


def test_idle_pool_looks_at_most_every_50_ms(start: Start) -> None:
    queue = Stub()
    start(queue, completed, 5)
    wait_for(lambda: queue.trips)
    before = len(queue.trips)
    time.sleep(0.5)

    assert 4 <= len(queue.trips) - before <= 11


def test_broker_that_fails_gets_the_settlements_later_and_is_reported_once(start: Start) -> None:
    queue = Stub(1)

    def run(job: ClaimedJob) -> Settlement:
        queue.failures = 3
        return completed(job)

    errors: list[object] = []

    def hear(error: object, **kwargs: object) -> None:
        errors.append(error)

    signals.worker_error.connect(hear)
    try:
        start(queue, run, 2)
        wait_for(lambda: len(queue.settled) == 1)
    finally:
        signals.worker_error.disconnect(hear)

    assert len(errors) == 1


def test_closed_pool_claims_nothing_and_settles_what_ran(start: Start) -> None:
    queue, running, release = Stub(3), threading.Event(), threading.Event()
    crew = start(queue, lambda job: (running.set(), release.wait(5), completed(job))[2], 1)
    assert running.wait(5)
    crew.pool.close()
    release.set()
    crew.join()

    assert len(queue.settled) == 1
    assert len(queue.waiting) == 2


def test_job_claimed_while_the_pool_closes_is_handed_back(start: Start) -> None:
    queue = Stub(1)
    ran: list[ClaimedJob] = []
    on_the_way = threading.Event()
    plain = queue.exchange

    def exchange(*args: object, **options: object) -> Exchange:
        answer = plain(*args, **options)  # type: ignore[arg-type]
        if answer.jobs:
            on_the_way.set()
            time.sleep(0.1)
        return answer

    queue.exchange = exchange  # type: ignore[method-assign]
    crew = start(queue, lambda job: ran.append(job) or completed(job), 1)
    assert on_the_way.wait(5)
    crew.close()

    assert not ran
    assert [type(settlement.outcome) for settlement in queue.settled] == [HandedBack]


def test_pool_with_a_budget_of_one_runs_one_job_and_ends(start: Start) -> None:
    queue = Stub(3)
    crew = start(queue, completed, 1, alone=True)
    crew.join()

    assert len(queue.settled) == 1
    assert len(queue.waiting) == 2


def test_mistake_of_the_engine_hands_the_job_back_and_the_thread_lives(start: Start) -> None:
    queue = Stub(2)
    bad = queue.waiting[0]

    def run(job: ClaimedJob) -> Settlement:
        if job is bad:
            raise SystemExit(1)
        return completed(job)

    crew = start(queue, run, 1)
    wait_for(lambda: len(queue.settled) == 2)

    assert [type(settlement.outcome) for settlement in queue.settled] == [HandedBack, Completed]
    assert crew.threads[0].is_alive()


def test_job_that_settled_itself_is_no_longer_held(start: Start) -> None:
    queue, ran = Stub(3), threading.Semaphore(0)
    crew = start(queue, lambda job: ran.release(), 2)
    for _ in range(3):
        assert ran.acquire(timeout=5)
    crew.close()

    assert crew.pool.held == 0
    assert not queue.settled
