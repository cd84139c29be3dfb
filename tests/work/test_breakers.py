"""Circuit breakers: when one opens, who probes, and what closes it; the same on every broker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

import jobs
from jobs import Breaker, BulkJob, Fixed, PermanentError, Queue, RetryLater, clock, signals
from jobs.broker import get_broker
from jobs.broker.records import ClaimedJob, ProcessRecord, Settlement
from jobs.history.breakers import database_now
from jobs.models import BreakerState
from jobs.operate.breakers import count_failure
from jobs.work.breakers import Breakers, breakers_of
from jobs.work.bulk import execute_bulk
from jobs.work.consumer import QueueConsumer
from jobs.work.execution import execute
from tests.each_broker import each_broker as each_broker
from tests.each_broker import redis_client

pytestmark = pytest.mark.usefixtures("each_broker")

MAIL = Breaker("mail", failures=3, within=60, probe_after=30, on=(OSError, ValueError))


class Provider:
    """What the task calls."""

    def __init__(self) -> None:
        self.error: BaseException | None = ConnectionError("away")
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


class Process:
    """A worker process of the queue, in this thread."""

    def __init__(self, queue: Queue) -> None:
        self.queue, self.id, self.number = queue, clock.new_id(), 0
        get_broker().register(ProcessRecord(self.id, "worker", queue.name, "here", 1, 10), 600)
        self.breakers: Breakers = breakers_of(queue, self.id) or Breakers(queue, self.id)
        self.breakers.begin(wake=lambda: None, ring=lambda: None, has_room=lambda: True, announce=lambda news: news())

    def exchange(self, *settlements: Settlement, wanted: int = 0) -> list[ClaimedJob]:
        self.number += 1
        policy = self.breakers.over(self.queue.policy)
        answer = get_broker().exchange(self.id, policy, settlements, wanted, number=self.number)
        self.breakers.claimed(answer.jobs, wanted)
        return list(answer.jobs)

    def claim(self, wanted: int = 1) -> list[ClaimedJob]:
        """What it starts, after a look at the breakers."""
        self.breakers.look()
        return self.exchange(wanted=wanted)

    def end(self, job: ClaimedJob) -> str:
        """Run a claimed job to its end; returns its outcome."""
        settlement = execute(job, self.queue, self.id)
        self.breakers.ended(job, settlement)
        assert settlement is not None
        self.exchange(settlement)
        return type(settlement.outcome).__name__

    def work(self, most: int = 20) -> list[str]:
        """Run what may start, one by one; returns the tasks."""
        ran = []
        while len(ran) < most and (claimed := self.claim()):
            ran.append(claimed[0].task)
            self.end(claimed[0])
        return ran


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue("breaker_lane", attempts=2, backoff=Fixed(3_600), concurrency=4)
    monkeypatch.setattr("jobs.history.breakers.queues", lambda: {queue.name: queue})
    return queue


@pytest.fixture
def provider(lane: Queue) -> Provider:
    called = Provider()
    lane.task(name="test.send", limits=[MAIL])(lambda: called())
    lane.task(name="test.plain")(lambda: None)
    return called


def seen() -> tuple[str, int]:
    (one,) = [one for one in jobs.breakers() if one.breaker == MAIL]
    return one.state, one.failures


def let_time_pass(seconds: float = 31) -> None:
    """The moments in the row become older."""
    row = BreakerState.objects.get(pk="mail")
    for name in ("opened_at", "probe_at", "probe_until"):
        if (moment := getattr(row, name)) is not None:
            setattr(row, name, moment - timedelta(seconds=seconds))
    row.save()


def test_it_opens_at_its_failures_and_closes_by_one_successful_probe(
    lane: Queue, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[str, str]] = []
    opened = lambda sender, **kwargs: told.append(("opened", sender))  # noqa: E731
    closed = lambda sender, **kwargs: told.append(("closed", sender))  # noqa: E731
    signals.breaker_opened.connect(opened)
    signals.breaker_closed.connect(closed)
    send, plain = lane.tasks["test.send"], lane.tasks["test.plain"]
    handles = send.enqueue_many([()] * 8)
    first, second = Process(lane), Process(lane)
    with caplog.at_level(logging.INFO, "jobs.breaker"):
        assert first.work() == ["test.send"] * 3
        assert (provider.calls, seen()) == (3, ("open", 3))
        plain.enqueue_many([()] * 2)
        assert second.work() == ["test.plain"] * 2
        # a process that has just started knows it too
        assert Process(lane).claim() == []

        let_time_pass()
        started = [job for process in (first, second, Process(lane)) for job in process.claim(5)]
        assert [job.task for job in started] == ["test.send"]
        assert (started[0].id, started[0].attempts, seen()[0]) == (handles[3].id, 0, "half_open")
        # the probe fails: open for as long again
        first.end(started[0])
        assert (seen()[0], first.claim(), second.claim()) == ("open", [], [])

        let_time_pass()
        provider.error = None
        (probe,) = second.claim(5)
        assert first.claim() == []
        second.end(probe)
        assert seen() == ("closed", 0)
        assert len(first.work()) + len(second.work()) == 3
    assert told == [("opened", "mail"), ("closed", "mail")]
    assert [record.getMessage().split()[0] for record in caplog.records] == ["breaker_opened", "breaker_closed"]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (PermanentError("no such address"), "closed"),
        (RetryLater(60), "closed"),
        (KeyError("ours"), "closed"),
        (TimeoutError("slow"), "open"),
    ],
    ids=["permanent", "later", "not-named", "counted"],
)
def test_only_the_failures_that_it_names_count(lane: Queue, provider: Provider, error: Exception, state: str) -> None:
    provider.error = error
    lane.tasks["test.send"].enqueue_many([()] * 4)
    ran = Process(lane).work()
    assert (seen()[0], len(ran)) == (state, 3 if state == "open" else 4)


def test_failures_of_long_ago_do_not_count_and_a_late_success_does_not_close(lane: Queue, provider: Provider) -> None:
    lane.tasks["test.send"].enqueue_many([()] * 9)
    process = Process(lane)
    assert process.work(2) == ["test.send"] * 2
    now = database_now().timestamp()
    BreakerState.objects.filter(pk="mail").update(failed=f"[{now - 61}, {now + 3600}]")
    assert process.work(2) == ["test.send"] * 2
    late, last, other = process.claim(3)
    process.end(last)
    assert seen() == ("open", 3)
    process.end(other)
    provider.error = None
    process.end(late)
    assert seen() == ("open", 3)


def test_a_killed_prober_and_one_without_a_job_block_nobody_for_long(lane: Queue, provider: Provider) -> None:
    send = lane.tasks["test.send"]
    send.enqueue_many([()] * 3)
    first, second = Process(lane), Process(lane)
    first.work()
    let_time_pass()
    # nothing is due: the probe is given back
    assert first.claim() == []
    assert seen()[0] == "half_open"
    first.breakers.look()
    assert seen()[0] == "open"
    send.enqueue_many([()] * 3)
    (probe,) = second.claim(3)
    assert seen()[0] == "half_open"
    # and its process is killed
    let_time_pass(29)
    assert first.claim() == []
    let_time_pass(2)
    assert wait_for(lambda: first.claim(3)) != [probe]
    # what the first one says of its job counts no more
    provider.error = None
    second.end(probe)
    assert seen()[0] == "half_open"


def test_a_clock_that_was_set_back_keeps_nothing_open(lane: Queue, provider: Provider) -> None:
    lane.tasks["test.send"].enqueue_many([()] * 5)
    process = Process(lane)
    process.work()
    let_time_pass(-3_600)
    provider.error = None
    assert process.work() == ["test.send"] * 2
    assert seen() == ("closed", 0)


def test_by_hand_it_opens_and_closes_and_nobody_probes(lane: Queue, provider: Provider, each_broker: str) -> None:
    send = lane.tasks["test.send"]
    jobs.open_breaker("mail")
    if each_broker == "redis":
        redis_client().flushall()
    send.enqueue_many([()] * 3)
    process = Process(lane)
    let_time_pass(3_600)
    assert (process.claim(), seen()[0]) == ([], "open")
    provider.error = None
    jobs.close_breaker("mail")
    assert process.work() == ["test.send"] * 3
    with pytest.raises(jobs.UnknownBreaker, match="breaker 'male' is not defined; breakers are: mail"):
        jobs.open_breaker("male")


def test_a_database_that_is_away_counts_nothing_and_holds_nothing_back_for_long(
    lane: Queue, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.tasks["test.send"].enqueue_many([()] * 9)
    process = Process(lane)

    def away(*args: Any) -> Any:
        raise ConnectionError("away")

    monkeypatch.setattr("jobs.work.breakers.count_failure", away)
    assert process.work(4) == ["test.send"] * 4
    monkeypatch.setattr("jobs.work.breakers.count_failure", count_failure)
    process.breakers._away_until = 0.0
    process.work()
    assert (seen()[0], process.claim()) == ("open", [])
    monkeypatch.setattr("jobs.work.breakers.rows_of", away)
    now = clock.monotonic()
    assert process.claim() == []
    monkeypatch.setattr(clock, "monotonic", lambda: now + 31)
    assert process.claim() != []


def test_a_call_of_a_bulk_task_is_one_failure_and_its_probe_is_one_job(lane: Queue) -> None:
    @dataclass(frozen=True)
    class Contact:
        name: str

    def push(jobs: list[BulkJob[Contact]]) -> None:
        raise ConnectionError("away")

    push.__annotations__["jobs"] = list[BulkJob[Contact]]
    task = lane.task(name="test.push", bulk=4, limits=[MAIL])(push)
    task.enqueue_many([("a",)] * 14)
    process = Process(lane)
    for call in range(1, 4):
        claimed = process.claim()
        assert len(claimed) == 4
        settlements = execute_bulk(claimed, lane, process.id, process.breakers)
        assert seen() == ("open" if call == 3 else "closed", call)
        process.exchange(*settlements)
    assert process.claim() == []
    let_time_pass()
    assert len(process.claim()) == 1


def test_a_process_for_jobs_that_must_run_alone_stays_while_one_is_open(
    lane: Queue, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.work.consumer.ALONE_PATIENCE", 0.0)
    process = Process(lane)
    options: dict[str, Any] = {"threads": 1, "grace": 60, "alone": True, "breakers": process.breakers}
    consumer = QueueConsumer(lane, get_broker(), process.id, **options)
    jobs.open_breaker("mail")
    process.breakers.look()
    consumer.loop()
    assert not consumer.pool._closing
    jobs.close_breaker("mail")
    process.breakers.look()
    consumer.loop()
    assert consumer.pool._closing


def wait_for(answer: Callable[[], Any], limit: float = 20.0) -> Any:
    end = clock.monotonic() + limit
    while not (found := answer()):
        assert clock.monotonic() < end, "did not happen in time"
    return found
