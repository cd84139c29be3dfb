"""The pool of threads over a broker that is a list in memory."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from resource import RUSAGE_SELF, getrusage
from typing import Any

import pytest

from jobs import Queue, RateLimit, clock, reasons, signals
from jobs.broker.records import Answer, ClaimedJob, Completed, Exchange, Failed, HandedBack, Settled, Settlement
from jobs.errors import BrokerAway
from jobs.states import State
from jobs.work import pool, trouble
from jobs.work.pool import Pool

LANE = Queue("lane")
COUNTED, BUSY = Settled(Answer.COUNTED, State.COMPLETED), Settled(Answer.BUSY)


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
        self.said: list[tuple[object, list[Settlement], int]] = []  # number, settlements, wanted, of every try
        self.locked: set[ClaimedJob] = set()
        self.unwritable: set[ClaimedJob] = set()
        self.wait: float | None = None
        self.troubles: list[str] = []
        self.dropped: list[int] = []

    def report_trouble(self, worker: object, trouble: str) -> None:
        self.troubles.append(trouble)

    def report_dropped(self, worker: object, dropped: int) -> None:
        self.dropped.append(dropped)

    def exchange(
        self,
        worker: object,
        policy: object,
        settlements: Sequence[Settlement],
        wanted: int,
        *,
        number: int,
        alone: bool = False,
    ) -> Exchange:
        self.said.append((number, list(settlements), wanted))
        self.together += 1
        self.most_together = max(self.together, self.most_together)
        try:
            time.sleep(self.trip_time)
            if self.failures:
                self.failures -= 1
                raise BrokerAway("away")
            if any(said.job in self.unwritable and isinstance(said.outcome, Completed) for said in settlements):
                raise ValueError("no letter for that")
            self.trips.append((len(settlements), wanted))
            answers = tuple(BUSY if said.job in self.locked else COUNTED for said in settlements)
            self.settled += [said for said in settlements if said.job not in self.locked]
            jobs = tuple(self.waiting.popleft() for _ in range(min(wanted, len(self.waiting))))
            return Exchange(answers, jobs, self.wait)
        finally:
            self.together -= 1


def completed(job: ClaimedJob) -> Settlement:
    return Settlement(job, Completed())


class Crew:
    """A pool with its threads."""

    def __init__(
        self,
        queue: Stub,
        run: Callable[[ClaimedJob], Settlement | None],
        size: int,
        lane: Queue = LANE,
        **options: bool,
    ) -> None:
        self.pool = Pool(lane, queue, clock.new_id(), run=run, **options)  # type: ignore[arg-type]
        self.threads = [threading.Thread(target=self.pool.work, daemon=True) for _ in range(size)]
        for thread in self.threads:
            thread.start()

    def join(self, limit: float = 60.0) -> None:
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

    def begin(queue: Stub, run: Callable[[ClaimedJob], Settlement | None], size: int, **options: Any) -> Crew:
        crews.append(Crew(queue, run, size, **options))
        return crews[-1]

    yield begin
    for crew in crews:
        crew.pool.close()


def wait_for(condition: Callable[[], object], limit: float = 20.0, pause: float = 0.001) -> None:
    """Fails after `limit` seconds: a net for a busy machine, not a promise."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(pause)


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
    barrier = threading.Barrier(5, timeout=60)
    queue = Stub(5)
    start(queue, lambda job: (barrier.wait(), completed(job))[1], 5)
    wait_for(lambda: len(queue.settled) == 5)


def test_finished_job_is_settled_while_another_goes_on(start: Start) -> None:
    queue, release = Stub(2), threading.Event()
    long = queue.waiting[0]

    def run(job: ClaimedJob) -> Settlement:
        if job is long:
            release.wait(60)
        return completed(job)

    start(queue, run, 2)
    wait_for(lambda: len(queue.settled) == 1)
    release.set()
    wait_for(lambda: len(queue.settled) == 2)


def test_free_thread_takes_new_work_while_others_are_busy(start: Start) -> None:
    queue, release = Stub(1), threading.Event()
    long = queue.waiting[0]
    start(queue, lambda job: (release.wait(60) if job is long else None, completed(job))[1], 3)
    wait_for(lambda: not queue.waiting)
    queue.waiting.append(claimed_job())

    wait_for(lambda: len(queue.settled) == 1)
    release.set()


def test_idle_pool_looks_at_most_every_50_ms(start: Start) -> None:
    queue = Stub()
    start(queue, completed, 5)
    wait_for(lambda: queue.trips)
    before, began = len(queue.trips), time.monotonic()
    wait_for(lambda: len(queue.trips) >= before + 8)

    assert len(queue.trips) - before <= (time.monotonic() - began) / 0.05 + 1


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
    crew = start(queue, lambda job: (running.set(), release.wait(60), completed(job))[2], 1)
    assert running.wait(60)
    crew.pool.close()
    release.set()
    crew.join()

    assert len(queue.settled) == 1
    assert len(queue.waiting) == 2


def test_job_claimed_while_the_pool_closes_is_handed_back(start: Start) -> None:
    queue = Stub(1)
    ran: list[ClaimedJob] = []
    crews: list[Crew] = []
    on_the_way = threading.Event()
    plain = queue.exchange

    def exchange(*args: object, **options: object) -> Exchange:
        answer = plain(*args, **options)  # type: ignore[arg-type]
        if answer.jobs:
            on_the_way.set()
            # its thread may be faster than who starts it
            wait_for(lambda: crews and crews[0].pool._closing)
        return answer

    queue.exchange = exchange  # type: ignore[method-assign]
    crews.append(start(queue, lambda job: ran.append(job) or completed(job), 1))
    assert on_the_way.wait(60)
    crews[0].close()

    assert not ran
    assert [type(settlement.outcome) for settlement in queue.settled] == [HandedBack]


def test_jobs_that_must_run_alone_run_one_by_one_until_one_ends_badly(start: Start) -> None:
    queue, number = Stub(5), count(1)

    def run(job: ClaimedJob) -> Settlement:
        return completed(job) if next(number) < 3 else Settlement(job, Failed("it broke"))

    crew = start(queue, run, 1, alone=True)
    crew.join()

    assert [type(settlement.outcome) for settlement in queue.settled] == [Completed, Completed, Failed]
    assert len(queue.waiting) == 2, "none was claimed beside the bad one's settlement"


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
        assert ran.acquire(timeout=60)
    crew.close()

    assert crew.pool.held == 0
    assert not queue.settled


# Short jobs and long ones


@pytest.mark.parametrize("short_before", [0, 2_000])
def test_last_of_ten_long_jobs_claimed_together_starts_within_5_ms_of_the_first(
    start: Start, short_before: int
) -> None:
    spreads: list[float] = []
    for _attempt in range(100):  # another process may have the processor
        queue, started, release = Stub(short_before), [], threading.Event()
        long: set[ClaimedJob] = set()

        def run(job: ClaimedJob) -> Settlement:
            if job in long:  # noqa: B023 - joined within this round
                started.append(time.monotonic())  # noqa: B023
                release.wait(60)  # noqa: B023
            return completed(job)

        crew = start(queue, run, 10)
        wait_for(lambda: len(queue.settled) == short_before and queue.trips)  # noqa: B023
        jobs = [claimed_job() for _ in range(10)]
        long.update(jobs)
        queue.waiting.extend(jobs)
        wait_for(lambda: len(started) == 10)  # noqa: B023
        release.set()
        crew.close()
        spreads.append(max(started) - min(started))
        if spreads[-1] < 0.005:
            return
    pytest.fail(f"the last started so many seconds after the first: {spreads}")


def test_short_job_costs_no_thread_switch(start: Start) -> None:
    queue = Stub(4_000)
    before = getrusage(RUSAGE_SELF).ru_nvcsw
    crew = start(queue, lambda job: (os.write(nowhere, b"sixteen bytes---"), completed(job))[1], 10)
    with open(os.devnull, "wb") as file:
        nowhere = file.fileno()
        wait_for(lambda: len(queue.settled) == 4_000, pause=0.02)
        crew.close()

    # the test itself looks fifty times a second
    assert getrusage(RUSAGE_SELF).ru_nvcsw - before < 2_000


def test_job_that_ended_is_settled_soon_though_its_thread_goes_on_with_a_long_one(start: Start) -> None:
    queue, release = Stub(500), threading.Event()
    crew = start(queue, lambda job: (release.wait(60) if job is long else None, completed(job))[1], 2)
    long = claimed_job()
    wait_for(lambda: len(queue.settled) == 500)
    short = claimed_job()
    queue.waiting.extend([short, long])

    wait_for(lambda: any(said.job is short for said in queue.settled))
    release.set()
    crew.close()


# What the broker answers


def test_exchange_without_a_reply_is_said_again_under_its_number_with_the_very_same_settlements(start: Start) -> None:
    queue = Stub(3)

    def run(job: ClaimedJob) -> Settlement:
        queue.failures = 2
        return completed(job)

    crew = start(queue, run, 1)
    wait_for(lambda: len(queue.settled) == 3)
    crew.close()

    tries: dict[object, list[tuple[list[Settlement], int]]] = {}
    for number, settlements, wanted in queue.said:
        tries.setdefault(number, []).append((settlements, wanted))
    assert sorted(tries) == list(range(1, len(tries) + 1))
    assert max(len(said) for said in tries.values()) == 3
    assert all(said == said_again for said, *more in tries.values() for said_again in more)
    assert len(queue.settled) == 3


def test_busy_settlement_is_said_again_under_a_later_number_and_holds_up_no_other(start: Start) -> None:
    queue = Stub(5)
    locked = queue.waiting[0]
    queue.locked.add(locked)
    crew = start(queue, completed, 2)
    wait_for(lambda: len(queue.settled) == 4)
    assert crew.pool.held == 1
    wait_for(lambda: sum(any(said.job is locked for said in settlements) for _, settlements, _ in queue.said) > 1)
    queue.locked.clear()
    wait_for(lambda: len(queue.settled) == 5)
    crew.close()

    numbers = [number for number, settlements, _ in queue.said if any(said.job is locked for said in settlements)]
    assert len(set(numbers)) == len(numbers)
    assert crew.pool.held == 0


def test_outcome_that_the_broker_cannot_write_becomes_a_dead_letter_and_the_others_count(start: Start) -> None:
    queue = Stub(4)
    bad = queue.waiting[1]
    queue.unwritable.add(bad)
    crew = start(queue, completed, 4)
    wait_for(lambda: len(queue.settled) == 4)
    crew.close()

    [told] = [said.outcome for said in queue.settled if said.job is bad]
    assert isinstance(told, Failed)
    assert told.error.startswith(reasons.NOT_STORED.partition("%")[0])
    assert sum(isinstance(said.outcome, Completed) for said in queue.settled) == 3


def test_job_due_sooner_than_the_sleep_of_a_hinted_pool_is_looked_for_in_time(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "HINTED_WAIT", 60.0)
    queue = Stub()
    crew = start(queue, completed, 3)
    wait_for(lambda: queue.trips)
    crew.pool.hear(False)
    looks = len(queue.trips)
    wait_for(lambda: len(queue.trips) > looks)  # asleep for a minute now, but for what comes by a hint
    queue.waiting.append(claimed_job())
    queue.wait = 0.05
    crew.pool.hear(True)
    wait_for(lambda: len(queue.settled) == 1)
    looks = len(queue.trips)
    wait_for(lambda: len(queue.trips) > looks + 1)
    crew.close()


# What holds jobs up


def test_slow_receiver_holds_up_no_claimed_job(start: Start) -> None:
    heard: list[object] = []
    go_on = threading.Event()

    def hear(job: object, **kwargs: object) -> None:
        go_on.wait(60)
        heard.append(job)

    queue = Stub(40)
    signals.job_completed.connect(hear)
    try:
        crew = start(queue, completed, 2)
        teller = threading.Thread(target=crew.pool.announcer.run)
        teller.start()
        wait_for(lambda: len(queue.settled) == 40)
        assert heard == []
        go_on.set()
        wait_for(lambda: len(heard) == 40)
        crew.pool.announcer.end()
        teller.join(60)
    finally:
        go_on.set()
        signals.job_completed.disconnect(hear)


def test_long_jobs_of_a_limited_queue_are_claimed_one_by_one_and_run_side_by_side(start: Start) -> None:
    barrier = threading.Barrier(5, timeout=60)
    queue = Stub(5)

    def run(job: ClaimedJob) -> Settlement:
        began = clock.now()
        barrier.wait()
        time.sleep(0.002)
        return Settlement(job, Completed(), began, clock.now())

    crew = start(queue, run, 5, lane=Queue("lane", rate_limit=RateLimit(100)))
    wait_for(lambda: len(queue.settled) == 5)
    crew.close()

    assert max(wanted for _, wanted in queue.trips) == 1


def test_worker_in_trouble_says_so_claims_less_and_less_and_works_on_when_it_is_over(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, well = Stub(), threading.Event()
    queue.waiting.extend(claimed_job() for _ in range(200))

    def run(job: ClaimedJob) -> Settlement:
        now = clock.now()
        if well.is_set():
            return Settlement(job, Completed(), now, now)
        queue.waiting.append(job)
        return Settlement(job, HandedBack("no connection", trouble=True))

    monkeypatch.setattr(trouble, "PASSES", 0.2)
    began = time.monotonic()
    crew = start(queue, run, 10)
    wait_for(lambda: queue.troubles and time.monotonic() > began + 0.8)
    assert len(queue.settled) < 50 * (time.monotonic() - began)
    assert queue.troubles[-1] == "no connection"
    well.set()
    wait_for(lambda: sum(isinstance(said.outcome, Completed) for said in queue.settled) == 200)
    wait_for(lambda: not queue.troubles[-1])
    crew.close()


def test_threads_that_have_no_place_any_more_leave_when_their_jobs_are_settled(start: Start) -> None:
    queue, release = Stub(4), threading.Event()
    crew = start(queue, lambda job: (release.wait(60), completed(job))[1], 4)
    wait_for(lambda: not queue.waiting)
    crew.pool.keep_to(1, paced=False)
    before = len(queue.trips)  # threads that begin one after the other claim one after the other
    queue.waiting.extend(claimed_job() for _ in range(20))
    time.sleep(0.2)
    assert crew.pool.claimed == 4
    release.set()
    wait_for(lambda: len(queue.settled) == 24)
    wait_for(lambda: sum(thread.is_alive() for thread in crew.threads) == 1)
    assert max(wanted for _, wanted in queue.trips[before:]) == 1
    crew.close()


def test_idle_threads_that_have_no_place_any_more_leave_at_once_and_the_last_works_on(start: Start) -> None:
    queue = Stub()
    crew = start(queue, completed, 6)
    wait_for(lambda: queue.trips)
    crew.pool.keep_to(2, paced=False)
    wait_for(lambda: sum(thread.is_alive() for thread in crew.threads) == 2, limit=2)
    queue.waiting.extend(claimed_job() for _ in range(50))
    wait_for(lambda: len(queue.settled) == 50)
    assert sum(thread.is_alive() for thread in crew.threads) == 2


def test_job_of_a_thread_that_leaves_is_settled_while_the_one_that_stays_is_busy(start: Start) -> None:
    queue, long_ends, short_ends = Stub(2), threading.Event(), threading.Event()
    long = queue.waiting[0]
    crew = start(queue, lambda job: ((long_ends if job is long else short_ends).wait(60), completed(job))[1], 2)
    wait_for(lambda: not queue.waiting)
    crew.pool.keep_to(1, paced=False)
    short_ends.set()
    wait_for(lambda: len(queue.settled) == 1)
    wait_for(lambda: sum(thread.is_alive() for thread in crew.threads) == 1, limit=10)
    long_ends.set()
    wait_for(lambda: len(queue.settled) == 2)


def test_more_places_ask_for_the_threads_that_are_missing(start: Start) -> None:
    barrier = threading.Barrier(5, timeout=60)
    queue = Stub()
    crew = start(queue, lambda job: (barrier.wait(), completed(job))[1], 2)
    wait_for(lambda: queue.trips)
    assert crew.pool.keep_to(5, paced=False) == 3
    assert crew.pool.keep_to(5, paced=False) == 0  # they are on their way
    crew.threads += [threading.Thread(target=crew.pool.work, daemon=True) for _ in range(3)]
    for thread in crew.threads[2:]:
        thread.start()
    queue.waiting.extend(claimed_job() for _ in range(5))
    wait_for(lambda: len(queue.settled) == 5)
