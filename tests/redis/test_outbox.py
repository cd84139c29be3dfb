"""The outbox (G1): what was accepted reaches Redis once, whatever Redis does meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.db import OperationalError, connection, transaction

from jobs import Queue, clock
from jobs.broker import forget_broker
from jobs.broker.database.pending import read_pending
from jobs.broker.records import Completed, Failed, PushStatus
from jobs.broker.redis.broker import RedisBroker
from jobs.broker.redis.scripts import load_script
from jobs.enqueue import outbox
from jobs.errors import BrokerUnavailable, GroupFull, Refused
from jobs.history import facts
from jobs.keep import merge, recover, relay
from jobs.models import Job
from jobs.operate.pause import pause, resume
from jobs.states import State
from tests.contract.hands import Hands
from tests.counted import counted
from tests.faults.proxy import Proxy
from tests.servers import RedisServer

pytestmark = pytest.mark.usefixtures("each_database")
lane = Queue("outbox_lane", attempts=2)
other = Queue("other_lane", attempts=2)


@lane.task(name="outbox.echo")
def echo(text: str) -> str:
    return text


@other.task(name="outbox.other")
def answer(text: str) -> str:
    return text


@pytest.fixture
def own(make_server: Callable[..., RedisServer]) -> RedisServer:
    """A server that this test may kill and stop."""
    return make_server()


@pytest.fixture
def broker(own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisBroker]:
    broker = RedisBroker(own.url(), "tests")
    forget_broker()
    monkeypatch.setattr("jobs.broker._make_broker", lambda: broker)
    monkeypatch.setattr(outbox, "_away_until", 0.0)
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    yield broker
    forget_broker()


@pytest.fixture
def asked(broker: RedisBroker, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the outbox asks of the broker, in order; it stays straight for longer than a busy machine stands still."""
    monkeypatch.setattr(outbox, "STRAIGHT", 60.0)
    monkeypatch.setattr(outbox, "ASKS", 60.0)
    found: list[str] = []

    def note(name: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **options: (found.append(name), ask(*args, **options))[1]

    for name in ("push", "now"):
        monkeypatch.setattr(broker, name, note(name, getattr(broker, name)))
    return found


def work_off(broker: RedisBroker) -> list[str]:
    """Run what waits, without its functions; returns the arguments, and merges."""
    hands, ran = Hands(broker), []
    for queue in (lane, other):
        hands.policy, hands.worker = queue.policy, None
        hands.worker = hands.new_worker()
        while jobs := hands.claim(100):
            ran += [job.message for job in jobs]
            hands.exchange(*(hands.settlement(job, Completed()) for job in jobs), wanted=0)
        merge.merge_queue(broker, queue.policy, merge.Forgetting())
    return ran


def fail_all(broker: RedisBroker) -> list[str]:
    """Let what waits become dead letters."""
    hands = Hands(broker)
    hands.policy = lane.policy
    hands.worker = hands.new_worker()
    jobs = hands.claim(100)
    hands.exchange(*(hands.settlement(job, Failed("no")) for job in jobs), wanted=0)
    merge.merge_queue(broker, lane.policy, merge.Forgetting())
    return [job.message for job in jobs]


def state_of_rows() -> set[str]:
    return set(Job.objects.values_list("state", flat=True))


def test_jobs_of_a_transaction_reach_the_broker_after_its_commit_in_one_call_a_queue(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushes, push = [], broker.push

    def count(queue: str, jobs: Any, as_of: Any = None) -> Any:
        pushes.append((queue, len(jobs)))
        return push(queue, jobs, as_of)

    monkeypatch.setattr(broker, "push", count)
    with transaction.atomic():
        for number in range(3):
            echo.enqueue(str(number))
            answer.enqueue(str(number))
        assert (pushes, state_of_rows()) == ([], {State.PENDING})
    assert sorted(pushes) == [("other_lane", 3), ("outbox_lane", 3)]
    assert state_of_rows() == {State.QUEUED}
    assert len(work_off(broker)) == 6
    assert state_of_rows() == {State.COMPLETED}


def test_rollback_of_a_transaction_or_of_a_savepoint_leaves_no_job(broker: RedisBroker) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        echo.enqueue("gone")
        raise ZeroDivisionError
    with transaction.atomic():
        echo.enqueue("kept")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            echo.enqueue("gone too")
            raise ZeroDivisionError
    assert ["kept" in message for message in work_off(broker)] == [True]


@pytest.mark.parametrize("noted", [True, False], ids=["noted in its row", "killed before that"])
@pytest.mark.parametrize("run", [1, 2])
def test_a_row_that_gave_way_never_runs_whoever_has_read_it_before(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch, run: int, noted: bool
) -> None:
    late = echo.using(key="k").enqueue("late") if run == 2 else None
    if late is not None:
        assert len(fail_all(broker)) == 1
    holder = echo.using(key="k").enqueue("holder")
    pushed, push = [], broker.push
    monkeypatch.setattr(broker, "push", lambda *given: (pushed.append(given), push(*given))[1])
    if not noted:
        monkeypatch.setattr(outbox, "_refuse_pending", lambda *given: 0)
    if late is not None:
        with pytest.raises(Refused, match="holds the key") if noted else nullcontext():
            late.retry()
    else:
        with transaction.atomic():
            late = echo.using(key="k").enqueue("late")
    (read_before,) = pushed
    assert len(work_off(broker)) == 1
    assert push(*read_before).answers[0].status is PushStatus.KNOWN
    relay.run()
    assert work_off(broker) == []
    row = Job.objects.get(pk=late.id)
    assert row.state == (State.CANCELLED if run == 1 else State.FAILED)
    assert str(holder.id) in row.reason
    assert counted("outbox_lane") == {"completed": 1, "cancelled" if run == 1 else "failed": 1}
    # its end is forgotten with the fact of it, and a retry begins the next run
    if run == 2:
        late.retry()
        assert len(work_off(broker)) == 1


def test_a_row_that_was_cancelled_on_its_way_never_runs(own: RedisServer, broker: RedisBroker) -> None:
    own.stop()
    with transaction.atomic():
        late = echo.enqueue("late")
    own.start()
    as_of, read_before = broker.now(), read_pending(connection, [late.id])
    assert late.cancel() == "cancelled"
    assert broker.push("outbox_lane", read_before, as_of).answers[0].status is PushStatus.KNOWN
    assert work_off(broker) == []
    relay.run()
    assert work_off(broker) == []
    assert Job.objects.get(pk=late.id).state == State.CANCELLED
    assert counted("outbox_lane") == {"cancelled": 1}


def test_jobs_committed_while_redis_is_down_run_once_when_it_is_back(own: RedisServer, broker: RedisBroker) -> None:
    own.stop()
    with transaction.atomic():
        echo.enqueue("patient")
    assert state_of_rows() == {State.PENDING}
    own.start()
    relay.run()
    relay.run()
    assert len(work_off(broker)) == 1


@pytest.mark.parametrize("how", ["down", "hangs", "full"])
def test_enqueue_outside_a_transaction_goes_to_the_outbox_and_asks_again_after_five_seconds(
    own: RedisServer, broker: RedisBroker, asked: list[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    echo.enqueue("before")
    if how == "down":
        own.stop()
    elif how == "hangs":
        os.kill(own.process.pid, signal.SIGSTOP)
    else:
        with redis.Redis.from_url(own.url()) as client:
            client.config_set("maxmemory", 1)
    asked.clear()
    echo.enqueue("waits for the time-out")
    assert asked == ["push"]
    for _ in range(3):
        echo.enqueue("straight")
    with transaction.atomic():
        echo.enqueue("straight, too")
    assert asked == ["push"]
    assert Job.objects.filter(state=State.PENDING).count() == 5
    if how == "down":
        own.start()
    elif how == "hangs":
        os.kill(own.process.pid, signal.SIGCONT)
    else:
        with redis.Redis.from_url(own.url()) as client:
            client.config_set("maxmemory", 0)
    echo.enqueue("still straight")
    assert Job.objects.filter(state=State.PENDING).count() == 6
    monotonic = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + outbox.STRAIGHT)
    echo.enqueue("asked again")
    assert Job.objects.filter(state=State.PENDING).count() == 6
    relay.run()
    expected = 7 if how == "down" else 8  # what only Redis had is lost with a server that keeps nothing
    assert len(work_off(broker)) == expected
    assert state_of_rows() == {State.COMPLETED}


def test_enqueue_in_a_transaction_waits_for_a_hanging_redis_once_in_five_seconds_and_then_one_thread_for_all(
    own: RedisServer, broker: RedisBroker, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def enqueue(number: int = 1) -> list[str]:
        asked.clear()
        for _ in range(number):
            with transaction.atomic():
                echo.enqueue("x")
        return asked

    assert enqueue() == ["now", "push"]
    os.kill(own.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert enqueue() == ["now"]
    assert time.monotonic() - began > 0.9
    assert enqueue(3) == []
    monotonic = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + outbox.STRAIGHT)
    assert not outbox.is_away()  # this one asks
    assert enqueue(3) == []
    os.kill(own.process.pid, signal.SIGCONT)
    outbox.push_pending([])
    assert outbox._away_until == 0.0
    assert enqueue(3) == ["now", "push"] * 3
    assert Job.objects.filter(state=State.QUEUED).count() == 1 + 3


def test_enqueue_that_neither_store_takes_says_so(
    own: RedisServer, broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.stop()

    def away(*args: Any) -> None:
        raise OperationalError("the disk is full")

    monkeypatch.setattr("jobs.enqueue.accept.put", away)
    with pytest.raises(BrokerUnavailable, match=r"neither the broker .*the disk is full"):
        echo.enqueue("nowhere")


def test_two_jobs_of_one_key_in_the_outbox_run_once_and_the_other_ends_as_duplicate(
    own: RedisServer, broker: RedisBroker
) -> None:
    own.stop()
    first = echo.using(key="k").enqueue("first")
    second = echo.using(key="k").enqueue("second")
    assert (first.created, second.created) == (None, None)
    own.start()
    relay.run()
    assert len(work_off(broker)) == 1
    assert {first.state, second.state} == {State.COMPLETED, State.CANCELLED}


def test_row_read_as_pending_is_not_pushed_after_its_job_was_forgotten(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay stops between reading its row and pushing, while the job ends and its facts are forgotten."""
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "is_away", lambda: True)
        patch.setattr("jobs.enqueue.accept.is_away", lambda: True)
        echo.enqueue("once")
    read, now = outbox.pending.read_pending, broker.now

    def stop_after_reading(*args: Any) -> Any:
        jobs = read(*args)
        with monkeypatch.context() as patch:
            patch.setattr(outbox.pending, "read_pending", read)
            outbox.push_pending()
        assert len(work_off(broker)) == 1
        broker.forget_facts("outbox_lane", *facts.position("outbox_lane"))
        return jobs

    # the relay stood still for a minute since it looked at the clock
    monkeypatch.setattr(outbox.pending, "read_pending", stop_after_reading)
    monkeypatch.setattr(broker, "now", lambda: now() - timedelta(seconds=60))
    with pytest.raises(outbox.PushedTooLate):
        outbox.push_pending()
    assert work_off(broker) == []


@contextmanager
def answers_lost(own: RedisServer, broker: RedisBroker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The next push comes through and is not answered, nor is it when it is said again."""
    proxy = Proxy(own.port, redis=True)
    far = RedisBroker(own.url().replace(str(own.port), str(proxy.port)), "tests")
    far.now()
    broker.push("outbox_lane", [])
    with monkeypatch.context() as patch, redis.Redis.from_url(own.url()) as client:
        patch.setattr("jobs.broker._make_broker", lambda: far)
        forget_broker()
        rule = proxy.cut("reply", "EVALSHA", load_script("push")[0], times=2)
        client.script_load(load_script("push")[1])
        yield
        # the connection was kept and is broken: it is said again, and that answer is lost, too
        assert rule.done == 2
        assert state_of_rows() == {State.PENDING}
    forget_broker()
    far.close()
    proxy.close()


def test_push_that_may_have_come_through_is_not_refused_for_a_group_that_is_full_by_now(
    own: RedisServer, broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded = Queue("crowded_lane", group_max=1)
    note = crowded.task(name="outbox.note", group="group")(lambda group: None)
    monkeypatch.setattr(outbox, "_away_until", clock.monotonic() + 60)
    note.enqueue("a")
    with pytest.raises(GroupFull):
        note.enqueue("a")
    monkeypatch.setattr(outbox, "_away_until", 0.0)
    with answers_lost(own, broker, monkeypatch):
        note.enqueue("a")
    assert broker.count_group("crowded_lane", "a", 10) == 1
    assert Job.objects.count() == 2
    relay.run()
    assert broker.count_group("crowded_lane", "a", 10) == 2  # what was accepted stays


@pytest.mark.parametrize("how", ["in a transaction", "outside one"])
def test_push_whose_acknowledgement_is_lost_twice_is_one_job(
    own: RedisServer, broker: RedisBroker, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with answers_lost(own, broker, monkeypatch), transaction.atomic() if how == "in a transaction" else nullcontext():
        echo.using(key="k").enqueue("once")
    assert broker.counts("outbox_lane").waiting == 1
    relay.run()
    assert state_of_rows() == {State.QUEUED}
    relay.run()
    assert len(work_off(broker)) == 1
    assert state_of_rows() == {State.COMPLETED}


def recover_all(broker: RedisBroker) -> int:
    return sum(recover.recover(broker, name) for name in ("outbox_lane", "other_lane"))


def test_wiped_redis_gets_every_transactional_job_again(own: RedisServer, broker: RedisBroker) -> None:
    recover_all(broker)
    with transaction.atomic():
        for number in range(200):
            echo.enqueue(str(number))
    hands = Hands(broker)
    hands.policy = lane.policy
    hands.worker = hands.new_worker()
    for job in hands.claim(20):
        hands.settle(job)
    merge.merge_queue(broker, lane.policy, merge.Forgetting())
    with redis.Redis.from_url(own.url()) as client:
        client.flushall()
    assert recover_all(broker) == 180
    assert recover_all(broker) == 0
    relay.run()
    ran = work_off(broker)
    assert len(ran) == len(set(ran)) == 180
    assert Job.objects.filter(state=State.COMPLETED, starts=1).count() == 200


def test_redis_that_lost_its_last_second_gets_the_newer_jobs_again(
    make_server: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_server(appendonly="yes", appendfsync="always", **{"auto-aof-rewrite-percentage": "0"})
    broker = RedisBroker(own.url(), "tests")
    forget_broker()
    monkeypatch.setattr("jobs.broker._make_broker", lambda: broker)
    monkeypatch.setattr(outbox, "_away_until", 0.0)
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    try:
        recover_all(broker)
        for number in range(50):
            with transaction.atomic():
                echo.enqueue(str(number))
        files = sorted([*own.folder.rglob("*.incr.aof"), *own.folder.glob("*.aof")])
        own.stop(signal.SIGKILL)
        with files[0].open("r+b") as file:
            file.truncate(file.seek(0, os.SEEK_END) * 2 // 3)
        own.start()
        left = broker.counts("outbox_lane").waiting
        assert 0 < left < 50
        assert recover_all(broker) == 50 - left
        relay.run()
        assert len(work_off(broker)) == 50
        assert Job.objects.filter(state=State.COMPLETED, starts=1).count() == 50
    finally:
        forget_broker()


def test_pause_outlives_a_wiped_redis_and_so_does_its_end(own: RedisServer, broker: RedisBroker) -> None:
    recover_all(broker)
    pause("email")
    with redis.Redis.from_url(own.url()) as client:
        client.flushall()
    recover.run()
    assert broker.counts("email").paused is True
    resume("email")
    with redis.Redis.from_url(own.url()) as client:
        client.flushall()
    recover.run()
    assert broker.counts("email").paused is False


def test_rows_of_the_database_broker_are_taken_over(broker: RedisBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    forget_broker()
    echo.enqueue("waits")
    echo.using(delay=3600).enqueue("scheduled")
    assert state_of_rows() == {State.QUEUED}
    forget_broker()
    monkeypatch.setattr("jobs.broker._make_broker", lambda: broker)
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    assert recover_all(broker) == 2
    relay.run()
    assert (broker.counts("outbox_lane").waiting, broker.counts("outbox_lane").scheduled) == (1, 1)


@pytest.mark.parametrize("is_within", [True, False])
def test_job_with_an_id_of_its_own_is_accepted_while_redis_is_away(
    broker: RedisBroker, own: RedisServer, is_within: bool
) -> None:
    id = uuid4()
    own.stop()
    with transaction.atomic() if is_within else nullcontext():
        assert echo.using(id=id).enqueue("a").created
        assert echo.using(id=id).enqueue("b").created is False
    assert state_of_rows() == {State.PENDING}
