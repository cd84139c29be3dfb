"""What breaks inside a worker costs no job: an exchange with any error, a receiver, a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from jobs import Queue, clock, signals
from jobs.broker.records import ClaimedJob, Completed, Exchange, Failed, HandedBack, Settlement
from jobs.work import announce
from jobs.work.consumer import QueueConsumer
from jobs.work.pool import Pool
from jobs.work.seats import Seats
from tests.work.test_pool import COUNTED, LANE, Crew, Stub, claimed_job, completed, wait_for


@pytest.fixture
def heard() -> Iterator[Any]:
    """Connect receivers for the time of one test."""
    connected: list[tuple[Any, Any]] = []

    def connect(signal: Any, receiver: Any) -> None:
        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver)


class Remembering(Stub):
    """It remembers its last reply, and raises at first what it is told to, before or after its work."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(number)
        self.reply: tuple[int, Exchange] = (0, Exchange())
        self.raises_afterwards: list[BaseException] = []
        self.never_writes: ClaimedJob | None = None
        self.never_claims = False

    def exchange(self, worker: object, policy: object, settlements: Sequence[Settlement], wanted: int, **options: Any):  # type: ignore[no-untyped-def,override]
        if self.never_writes is not None and any(said.job is self.never_writes for said in settlements):
            raise ValueError("never")
        if self.never_claims and wanted:
            raise ValueError("no claim")
        if options["number"] != self.reply[0]:
            self.reply = options["number"], super().exchange(worker, policy, settlements, wanted, **options)
        if self.raises_afterwards and (settlements or self.reply[1].jobs):
            raise self.raises_afterwards.pop()
        return self.reply[1]


@pytest.mark.parametrize("error", [MemoryError, ValueError, KeyboardInterrupt])
def test_jobs_of_an_exchange_that_was_made_and_then_raised_whatever_are_run_and_settled(
    error: type[BaseException],
) -> None:
    queue = Remembering(3)
    queue.raises_afterwards = [error("after the commit")]
    crew = Crew(queue, completed, 2)
    wait_for(lambda: len(queue.settled) == 3)
    queue.raises_afterwards = [error("after the commit")]
    queue.waiting.append(claimed_job())
    wait_for(lambda: len(queue.settled) == 4)
    wait_for(lambda: not crew.pool.held)
    crew.close()

    assert all(isinstance(said.outcome, Completed) for said in queue.settled)


def test_claim_that_cannot_be_made_makes_no_dead_letter_of_what_is_settled_beside_it() -> None:
    queue = Remembering(1)

    def run(job: ClaimedJob) -> Settlement:
        queue.never_claims = True
        return completed(job)

    crew = Crew(queue, run, 1)
    wait_for(lambda: queue.settled)
    queue.never_claims = False
    crew.close()

    assert [type(said.outcome) for said in queue.settled] == [Completed]


def test_settlement_that_can_never_be_written_holds_up_neither_the_others_nor_the_claims() -> None:
    queue = Remembering(1)
    queue.never_writes = queue.waiting[0]
    crew = Crew(queue, completed, 1)
    wait_for(lambda: not queue.waiting)
    queue.waiting.extend(claimed_job() for _ in range(20))
    wait_for(lambda: len(queue.settled) == 20)
    assert crew.pool.held == 1
    queue.never_writes = None
    wait_for(lambda: len(queue.settled) == 21)
    crew.close()

    assert isinstance(queue.settled[-1].outcome, Failed)


def test_broker_that_answers_to_less_than_was_said_is_asked_again_and_nothing_is_lost() -> None:
    queue = Stub(4)
    plain, short = queue.exchange, [True]

    def exchange(*args: Any, **options: Any) -> Exchange:
        answer = plain(*args, **options)
        if answer.settled and short:
            short.pop()
            queue.settled.clear()
            queue.waiting.extendleft(answer.jobs)
            return Exchange(answer.settled[1:])
        return answer

    queue.exchange = exchange  # type: ignore[method-assign]
    crew = Crew(queue, completed, 2)
    wait_for(lambda: len(queue.settled) == 4)
    crew.close()


@pytest.mark.parametrize("leaves", [SystemExit, KeyboardInterrupt])
def test_receiver_of_worker_error_that_leaves_ends_no_thread_and_leaves_none_asleep(heard: Any, leaves: Any) -> None:
    def leave(**kwargs: object) -> None:
        raise leaves

    heard(signals.worker_error, leave)
    queue = Stub(60)
    queue.failures = 1
    bad = queue.waiting[5]

    def run(job: ClaimedJob) -> Settlement:
        if job is bad:
            raise MemoryError
        return completed(job)

    crew = Crew(queue, run, 4)
    wait_for(lambda: len(queue.settled) == 60)
    assert all(thread.is_alive() for thread in crew.threads)
    crew.close()

    assert [said.job for said in queue.settled if isinstance(said.outcome, HandedBack)] == [bad]


def test_trouble_that_cannot_be_told_ends_no_thread() -> None:
    queue = Stub(1)

    def report_trouble(worker: object, trouble: str) -> None:
        raise ValueError("no letter for that")

    queue.report_trouble = report_trouble  # type: ignore[method-assign]
    crew = Crew(queue, lambda job: Settlement(job, HandedBack("no connection", trouble=True)), 2)
    wait_for(lambda: queue.settled)
    assert all(thread.is_alive() for thread in crew.threads)
    crew.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_pool_that_breaks_closes_so_that_its_process_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Stub(3)
    crew = Crew(queue, completed, 3)
    wait_for(lambda: len(queue.settled) == 3)

    def break_down(seats: object, *args: object) -> float:
        monkeypatch.undo()
        raise MemoryError

    monkeypatch.setattr(Seats, "sit_down", break_down)
    crew.pool.hear(True)
    crew.join()

    assert crew.pool.broken


@pytest.mark.parametrize("which", ["job_completed", "worker_error"])
def test_receiver_that_never_returns_stops_no_job_and_what_it_misses_is_told(
    heard: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, which: str
) -> None:
    monkeypatch.setattr(announce, "MOST_NEWS", 20)
    release, called = threading.Event(), threading.Event()

    def never_return(**kwargs: object) -> None:
        called.set()
        release.wait(60)

    heard(getattr(signals, which), never_return)
    heard(signals.job_completed, lambda **kwargs: None)
    queue = Stub()
    queue.failures = 3
    pool = Pool(LANE, queue, clock.new_id(), run=completed)  # type: ignore[arg-type]
    teller = threading.Thread(target=pool.announcer.run, daemon=True)
    teller.start()
    wait_for(lambda: not pool.announcer._ended.is_set())
    threads = [threading.Thread(target=pool.work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        queue.waiting.append(claimed_job())
        assert called.wait(60)
        with caplog.at_level(logging.INFO):
            queue.waiting.extend(claimed_job() for _ in range(199))
            wait_for(lambda: len(queue.settled) == 200)
            wait_for(lambda: queue.dropped)
            pool.close()
            for thread in threads:
                thread.join(60)
    finally:
        release.set()
        pool.close()
        pool.announcer.end()
        teller.join(60)

    assert not any(thread.is_alive() for thread in [*threads, teller])
    assert "news_dropped queue=lane" in caplog.text
    assert "never_return" in caplog.text
    # the log has it all
    assert caplog.text.count("job_completed id=") >= 199


def test_slow_receiver_never_slows_the_claims_down_and_hears_or_misses_each(
    heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "MOST_NEWS", 5)
    told, go_on = list[object](), threading.Event()
    heard(signals.job_completed, lambda job, **kwargs: (go_on.wait(60), told.append(job)))
    queue = Stub(200)
    crew = Crew(queue, completed, 3)
    teller = threading.Thread(target=crew.pool.announcer.run, daemon=True)
    teller.start()
    try:
        wait_for(lambda: len(queue.settled) == 200)
        go_on.set()
        crew.close()
    finally:
        go_on.set()
        crew.pool.announcer.end()
        teller.join(60)

    assert 0 < crew.pool.announcer._calls.dropped == 200 - len(told)


def test_what_befell_jobs_is_told_in_its_order_though_many_threads_tell(heard: Any) -> None:
    told: list[int] = []
    heard(signals.job_completed, lambda seconds, job, **kwargs: (time.sleep(0.0001), told.append(job.attempt)))
    announcer = announce.Announcer(LANE)
    job = claimed_job()
    numbered = [replace(job, attempts=number) for number in range(300)]
    ended = threading.Event()

    def tell() -> None:
        while not ended.is_set():
            announcer.tell()
            time.sleep(0.0001)  # the others' turn

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for one in numbered:
            announcer.put(completed(one), COUNTED)
        wait_for(lambda: len(told) == 300)
    finally:
        ended.set()
    for thread in threads:
        thread.join()

    assert told == list(range(1, 301))


@pytest.mark.parametrize("which", [0, 2])
def test_worker_whose_thread_cannot_be_started_runs_what_it_has_claimed_and_ends_as_broken(
    which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Stub()
    consumer = QueueConsumer(Queue("lane"), queue, clock.new_id(), threads=3, grace=120)  # type: ignore[arg-type]

    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(consumer.worker_threads[which][1], "start", refuse)
    main = threading.Thread(target=consumer.run)
    main.start()
    main.join(60)

    assert not main.is_alive()
    assert consumer.broken
    assert consumer.drained
    assert not consumer.scheduler.is_alive()


def test_worker_whose_pool_breaks_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Stub()
    consumer = QueueConsumer(Queue("lane"), queue, clock.new_id(), threads=3, grace=120)  # type: ignore[arg-type]
    main = threading.Thread(target=consumer.run)
    main.start()
    wait_for(lambda: queue.trips)

    def break_down(pool: object, *args: object) -> None:
        monkeypatch.undo()
        raise MemoryError

    monkeypatch.setattr(Pool, "_next_request", break_down)
    main.join(60)

    assert not main.is_alive()
    assert consumer.broken
    assert consumer.drained


def test_last_outcomes_are_told_before_the_worker_ends_and_by_the_thread_that_tells(heard: Any) -> None:
    told: list[str] = []
    heard(signals.job_completed, lambda **kwargs: told.append(threading.current_thread().name))
    queue = Stub()
    release, running = threading.Event(), threading.Event()
    consumer = QueueConsumer(Queue("lane"), queue, clock.new_id(), threads=2, grace=5)  # type: ignore[arg-type]
    consumer.pool._run = lambda job: (running.set(), release.wait(60), completed(job))[2]
    main = threading.Thread(target=consumer.run)
    main.start()
    queue.waiting.extend(claimed_job() for _ in range(2))
    assert running.wait(60)
    consumer.drain()
    release.set()
    main.join(60)

    assert told
    assert set(told) == {"Scheduler"}
    assert not consumer.broken
