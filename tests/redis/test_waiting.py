"""How a worker sleeps on Redis, and is woken: a token in the list `wake` is a hint, and gets to who can use it."""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from jobs import Queue, clock
from jobs.broker.records import ClaimedJob, Completed, ProcessRecord, Settlement
from jobs.broker.redis.broker import RedisBroker
from jobs.work import hints, pool
from jobs.work.hints import HintEar
from jobs.work.pool import Pool
from tests.contract.hands import Hands
from tests.servers import RedisServer
from tests.work.test_on_time import BOUND, CAUSES, NET, lateness

LIMIT = 60.0


class Worker:
    """The threads of a worker process, and its ear; a job is noted when it starts, and held until `let_go`."""

    def __init__(self, url: str, threads: int = 1) -> None:
        self.broker = RedisBroker(url, "tests")
        record = ProcessRecord(clock.new_id(), "worker", "lane", "host", os.getpid(), threads)
        self.broker.register(record, 3600)
        self.started: list[tuple[str, float]] = []
        self.let_go = threading.Event()
        self.let_go.set()
        self.pool = Pool(Queue("lane"), self.broker, record.id, run=self._run)
        self.ear = HintEar(self.broker, "lane", self.pool.hear, self.pool.room)
        self.threads = [threading.Thread(target=self.pool.work) for _ in range(threads)]
        for thread in (*self.threads, self.ear):
            thread.start()

    def _run(self, job: ClaimedJob) -> Settlement:
        self.started.append((job.task, time.monotonic()))
        self.let_go.wait(LIMIT)
        now = clock.now()
        return Settlement(job, Completed(), now, now)

    def end(self) -> None:
        self.let_go.set()
        self.pool.close()
        self.ear.end()
        for thread in self.threads:
            thread.join(LIMIT)


@pytest.fixture
def start(server: RedisServer, hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Worker]]:
    monkeypatch.setattr(hints, "LISTEN", 0.2)  # else the ears outlive the test by seconds
    workers: list[Worker] = []

    def begin(**options: int) -> Worker:
        workers.append(Worker(server.url(), **options))
        wait_for(lambda: workers[-1].pool._hinted)
        return workers[-1]

    yield begin
    for worker in workers:
        worker.end()


@pytest.fixture
def without_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself: what is not told starts a minute late."""
    monkeypatch.setattr(pool, "HINTED_WAIT", NET)


def wait_for(condition: Callable[[], object], limit: float = LIMIT) -> None:
    until = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.001)


def asleep(client: redis.Redis, number: int) -> Callable[[], bool]:
    """Whether so many ears wait for a token."""
    return lambda: client.info("clients")["blocked_clients"] == number and not client.llen("{tests:lane}:wake")


def calls(client: redis.Redis, command: str = "evalsha") -> int:
    return client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"]


@pytest.mark.usefixtures("without_net")
def test_a_busy_worker_takes_no_word_that_an_idle_one_needs(client, hands, start):
    busy = start()
    busy.let_go.clear()
    hands.push(task="long")
    wait_for(lambda: busy.started)

    def is_asleep() -> bool:
        if asleep(client, 1)():
            return True
        # the word of the first job is left over where its thread looked before it was told
        client.delete("{tests:lane}:wake")
        return False

    wait_for(is_asleep)
    idle = start()
    wait_for(asleep(client, 2))
    for number in range(5):
        hands.push(task=f"short {number}")
        wait_for(lambda: len(idle.started) == number + 1)  # noqa: B023
    assert len(busy.started) == 1


@pytest.mark.usefixtures("without_net")
def test_a_word_that_nobody_can_use_now_is_not_tossed_about(client, hands, start):
    worker = start()
    worker.let_go.clear()
    hands.push()
    wait_for(lambda: worker.started)
    before, began = calls(client, "rpush"), time.monotonic()
    hands.push()
    time.sleep(0.3)
    assert client.llen("{tests:lane}:wake") == 1
    assert calls(client, "rpush") - before <= 10 * (time.monotonic() - began)


@pytest.mark.usefixtures("without_net")
def test_a_worker_that_was_busy_hears_again_when_it_has_room(client, hands, start):
    worker = start()
    worker.let_go.clear()
    hands.push()
    wait_for(lambda: worker.started)
    hands.push()
    worker.let_go.set()
    wait_for(lambda: len(worker.started) == 2)
    wait_for(asleep(client, 1))
    hands.push()
    wait_for(lambda: len(worker.started) == 3)


@pytest.mark.usefixtures("without_net")
def test_no_word_is_lost_between_a_look_in_vain_and_going_to_sleep(hands, start):
    worker = start(threads=2)
    for number in range(300):
        hands.push()
        wait_for(lambda: len(worker.started) == number + 1)  # noqa: B023
        time.sleep(random.random() * 0.001)


@pytest.mark.usefixtures("without_net")
def test_two_workers_of_one_token_start_what_it_tells_of_together(client, hands, start):
    workers = [start(), start()]
    for worker in workers:
        worker.let_go.clear()
    wait_for(asleep(client, 2))
    hands.push_all([hands.new_job() for _ in range(2)])
    wait_for(lambda: all(len(worker.started) == 1 for worker in workers))


@pytest.mark.usefixtures("without_net")
def test_two_workers_of_one_token_run_the_job_once_and_sleep_on(client, hands, start):
    workers = [start(), start()]
    wait_for(asleep(client, 2))
    hands.push()
    wait_for(lambda: sum(len(worker.started) for worker in workers) == 1)
    wait_for(asleep(client, 2))
    before, began = calls(client), time.monotonic()
    time.sleep(0.5)
    assert calls(client) - before <= 10 * (time.monotonic() - began)
    assert sum(len(worker.started) for worker in workers) == 1


def test_a_token_that_died_with_its_taker_delays_a_job_by_a_second_at_most(client, server, hands, start):
    taken = threading.Event()

    def take() -> None:
        with redis.Redis.from_url(server.url()) as other:
            other.blpop(["{tests:lane}:wake"])
            taken.set()

    thief = threading.Thread(target=take, daemon=True)
    thief.start()
    wait_for(asleep(client, 1))
    worker = start()
    wait_for(asleep(client, 2))
    hands.push()
    began = time.monotonic()
    assert taken.wait(LIMIT)
    thief.join()
    wait_for(lambda: worker.started)
    # what a busy machine adds; without its own look, it would sleep on
    assert worker.started[0][1] - began < pool.HINTED_WAIT + 15


def test_workers_of_a_paused_queue_do_not_spin(client, hands, start):
    hands.broker.pause("lane")
    hands.push_all([hands.new_job() for _ in range(10)])
    for _ in range(2):
        start()
    wait_for(asleep(client, 2))
    before, pushes, began = calls(client), 5, time.monotonic()
    for _ in range(pushes):
        hands.push()
        time.sleep(0.1)
    assert calls(client) - before - pushes <= 8 * (time.monotonic() - began)  # each worker looks once a second
    assert hands.broker.counts("lane").waiting == 10 + pushes


def test_lone_delayed_jobs_start_on_time(client, hands, start):
    worker, late = start(), [math.inf, math.inf]
    for number in range(100):  # another process may have the processor
        hands.push(delay=random.uniform(0.05, 0.25))
        waiting = hands.broker.list_waiting("lane").jobs  # none, if it has begun already
        due = [time.monotonic() + (job.ready_at - hands.broker.now()).total_seconds() for job in waiting]
        wait_for(lambda: len(worker.started) == number + 1)  # noqa: B023
        late += [worker.started[-1][1] - moment for moment in due]
        if number >= 4 and sorted(late)[1] < 0.02:
            break
    assert min(late) > -0.002
    assert sorted(late)[1] < 0.02


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis_is_the_broker", "without_net")
def test_whatever_makes_a_job_due_it_starts_in_time(server, client, monkeypatch):
    monkeypatch.setattr(hints, "LISTEN", 0.02)
    late = {}
    for name, cause in CAUSES.items():
        if "atomic" in name or "last loss" in name:
            continue  # an atomic task is refused here; a loss cannot be written into a row
        late[name] = lateness(cause, lambda: RedisBroker(server.url(), "tests"))
        client.flushall()
    wrong = {name: f"{seconds:.3f} s" for name, seconds in late.items() if not -0.1 < seconds < BOUND}
    assert not wrong, wrong
