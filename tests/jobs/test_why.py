"""`handle.why()`, `jobs why`: why a job waits, in one sentence, and where the time of an ended one went."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import translation

import jobs
from jobs import JobHandle, Queue, RateLimit, UnknownJob, clock
from jobs.broker import get_broker
from jobs.broker.records import Completed, Failed, ProcessRecord, Retried, Settlement
from jobs.history.why import Why
from tests.each_broker import each_broker as each_broker

pytestmark = pytest.mark.usefixtures("each_broker")
lane = Queue("why_lane", concurrency=2, rate_limit=RateLimit(3, per=60))
plain = Queue("why_plain", concurrency=2)


@lane.task(name="why.note")
def note() -> None: ...


@plain.task(name="why.step")
def step() -> None: ...


@pytest.fixture(autouse=True)
def _lanes_are_configured(each_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane, plain.name: plain})


class Worker:
    """A worker process of a queue, in this thread."""

    def __init__(self, queue: Queue, threads: int = 2) -> None:
        self.queue, self.number = queue, 0
        self.id = clock.new_id()
        get_broker().register(ProcessRecord(self.id, "worker", queue.name, "here", 1, threads), 600)

    def exchange(self, wanted: int = 1, *settlements: Settlement) -> list[Any]:
        self.number += 1
        answer = get_broker().exchange(self.id, self.queue.policy, settlements, wanted, number=self.number)
        return list(answer.jobs)

    def end(self, job: Any, outcome: Any = None) -> None:
        now = get_broker().now()
        self.exchange(0, Settlement(job, outcome or Completed(), job.claimed_at, now))


def codes(found: Why) -> list[str]:
    return [reason.code for reason in found.reasons]


def test_a_waiting_job_says_all_that_is_in_its_way_and_when_it_starts(each_broker: str) -> None:
    handles = [note.enqueue() for _ in range(5)]
    jobs.pause(lane)
    found = handles[4].why()
    assert (codes(found), found.ahead, found.expected_at) == (["paused", "no_worker", "ahead"], 4, None)
    assert found.reasons[0].remedy == "manage.py jobs resume why_lane"
    assert "the queue why_lane is paused; nobody works the queue why_lane; 4 jobs are ahead of it" in found.sentence
    assert found.no_time == "nobody knows when that ends"

    jobs.resume(lane)
    worker = Worker(lane)
    for job in worker.exchange(2):
        worker.end(job)
    worker.exchange(1)
    found, now = handles[4].why(), get_broker().now()
    assert (codes(found), found.ahead) == (["rate_limit", "ahead"], 1)
    assert (found.reasons[0].number, found.reasons[0].of) == (3, 3)
    assert found.expected_at is not None
    assert abs((found.expected_at - now).total_seconds() - 60) < 10
    by = {"sqlite": "this machine's clock", "postgresql": "the clock of PostgreSQL", "redis": "the clock of Redis"}
    assert found.clock == by[each_broker]
    assert found.sentence.startswith("Waits: the limit of 3/min frees in ")
    assert "1 job is ahead of it; start expected at " in found.sentence
    assert found.sentence.endswith(f"by {found.clock}.")
    assert handles[3].why().ahead == 0
    with translation.override("pt-br"):
        assert handles[4].why().sentence.startswith("Espera: ")

    out = StringIO()
    call_command("jobs", "why", str(handles[4].id), "--json", stdout=out)
    document = json.loads(out.getvalue())
    assert [one["code"] for one in document["reasons"]] == ["rate_limit", "ahead"]
    assert document["ahead"] == 1
    out = StringIO()
    call_command("jobs", "why", str(handles[4].id), stdout=out)
    assert "what removes it" in out.getvalue()
    with pytest.raises(UnknownJob):
        JobHandle(clock.new_id()).why()


def test_scheduled_told_to_wait_and_nothing_in_the_way_are_told_apart() -> None:
    Worker(plain)
    due = step.enqueue()
    later = step.using(delay=timedelta(hours=2)).enqueue()
    found = due.why()
    assert (codes(found), found.ahead) == ([], 0)
    assert "nothing is in its way; start expected at" in found.sentence
    found = later.why()
    assert codes(found) == ["scheduled", "ahead"]
    assert found.expected_at == found.reasons[0].until == later.job.ready_at


def test_a_job_that_waits_for_others_names_them() -> None:
    first = step.enqueue()
    second = step.using(after=[first]).enqueue()
    found = second.why()
    assert (codes(found), found.reasons[0].job, found.reasons[0].number) == (["blocked"], first.id, 1)
    jobs.pause(plain)
    assert codes(second.why()) == ["blocked", "paused"]


def test_the_end_of_a_job_says_where_its_time_went() -> None:
    worker = Worker(plain)
    handle = step.enqueue()
    (job,) = worker.exchange()
    worker.end(job, Retried(0.0, "broken"))
    assert handle.why().ahead == 0
    job = next(iter(worker.exchange()))
    assert handle.why().sentence.startswith("Running for")
    worker.end(job, Failed("broken"))
    found = handle.why()
    assert (found.state, found.reasons, found.expected_at) == ("failed", (), None)
    assert {part.code for part in found.spent} >= {"failed"}
    assert "Its life of" in found.sentence
    row = handle.job
    life = (row.ended_at - row.created_at).total_seconds()
    assert sum(part.seconds for part in found.spent) == pytest.approx(life, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "run"), [(1, 0.05), (3, 0.2)])
def test_the_time_is_right_of_a_running_queue(threads: int, run: float) -> None:
    """Within 20 % or 1 s in 8 of 10 cases."""
    handles = [step.enqueue() for _ in range(120)]
    stop = threading.Event()

    def work() -> None:
        worker = Worker(plain, 1)
        try:
            done: list[Settlement] = []
            while not stop.is_set():
                worker.number += 1
                answer = get_broker().exchange(worker.id, plain.policy, done, 1, number=worker.number)
                done = []
                for job in answer.jobs:
                    started[job.id] = job.claimed_at
                    stop.wait(run * (0.5 + clock.random()))
                    done = [Settlement(job, Completed(), job.claimed_at, get_broker().now())]
        finally:
            connections.close_all()

    started: dict[Any, Any] = {}
    hands = [threading.Thread(target=work) for _ in range(threads)]
    for hand in hands:
        hand.start()
    guesses = []
    try:
        until = time.monotonic() + 60
        while len(started) < len(handles) and time.monotonic() < until:
            if len(started) >= 15:
                index = min(len(handles) - 1, len(started) + 5 + int(clock.random() * 60))
                found = handles[index].why()
                if found.state == "queued" and found.expected_at is not None:
                    guesses.append((handles[index].id, get_broker().now(), found.expected_at))
            stop.wait(0.2)
    finally:
        stop.set()
        for hand in hands:
            hand.join()
    judged = [(started[id], asked, expected) for id, asked, expected in guesses if id in started]
    assert len(judged) >= 10
    off = [
        (abs((began - expected).total_seconds()), (began - asked).total_seconds()) for began, asked, expected in judged
    ]
    right = [wrong <= max(1.0, 0.2 * wait) for wrong, wait in off]
    assert sum(right) >= 0.8 * len(right), off
