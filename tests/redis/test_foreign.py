"""What other programs do to our keys costs the one queue its time and no other, is told by name, and heals."""

from __future__ import annotations

import pytest
import redis
from django.db import transaction

from jobs import Queue
from jobs.broker.records import Retried
from jobs.broker.redis.broker import RedisBroker
from jobs.broker.redis.scripts import KINDS
from jobs.enqueue import outbox
from jobs.errors import QueueBroken
from jobs.history.status.report import report
from jobs.keep import each, merge, reap, recover, relay, rewind, see, sweep
from jobs.models import Job
from jobs.states import State
from tests.contract.hands import Hands

pytestmark = pytest.mark.usefixtures("each_database", "redis_is_the_broker")
lane, other = Queue("foreign_lane", attempts=3), Queue("foreign_other", attempts=3)
NAME = lane.policy.name
DUTIES = (reap, recover, relay, merge, rewind, see, sweep)


@lane.task(name="foreign.echo")
def echo(text: str) -> str:
    return text


@other.task(name="foreign.other")
def answer(text: str) -> str:
    return text


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_away_until", 0.0)
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    monkeypatch.setattr(each, "_told", {})
    monkeypatch.setattr(sweep, "_after", {})
    monkeypatch.setattr(sweep, "_suspects", {})
    monkeypatch.setattr(merge, "CALM", 0.0)
    monkeypatch.setattr(merge, "AGE", 0.0)


def worker_of(broker: RedisBroker, queue: Queue) -> Hands:
    hands = Hands(broker)
    hands.policy = queue.policy
    hands.worker = hands.new_worker()
    return hands


def keep() -> None:
    """All duties that concern a broker, none of which may fail."""
    for duty in DUTIES:
        duty.run()


def key(name: str, queue: str = NAME) -> str:
    return f"{{tests:{queue}}}:{name}"


def sell(task: object = echo, **options: object) -> str:
    with transaction.atomic():
        return str(task.using(**options).enqueue("x").id)


@pytest.mark.alike
@pytest.mark.parametrize("name", KINDS)
def test_foreign_value_under_a_key_stops_its_queue_only_and_is_told_by_name_until_it_is_gone(
    broker: RedisBroker, client: redis.Redis, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    mine, others = worker_of(broker, lane), worker_of(broker, other)
    ids = {sell(key="k"), sell(delay=3600, expires=7200), sell(), sell()}
    held = mine.claim_one()
    sell(answer)
    keep()
    client.set(key(name), "foreign")

    # the others go on, and so do the keeper, the leases and those who enqueue
    ids |= {sell(), str(echo.enqueue("outside").id)}
    sell(answer)
    assert broker.renew([others.worker], 100).alive == {others.worker}
    for job in others.claim():
        assert others.settle(job)
    keep()
    keep()
    assert Job.objects.filter(queue="foreign_other", state=State.COMPLETED).count() == 2
    errors = []
    for call in (lambda: mine.settle(held), mine.claim):
        try:
            call()
        except QueueBroken as error:
            errors.append(str(error))
    assert all(key(name) in error for error in errors)
    (found,) = (finding for finding in report().findings if finding.code == "queue_broken")
    assert (found.queue, key(name) in found.text, found.needs_person) == (NAME, True, True)
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("queue_broken")]
    assert told
    assert all(key(name) in text for text in told)
    assert len(told) == len(set(told))

    # it is gone again: what was there before is lost with the key, and nothing else
    client.delete(key(name))
    for _ in range(3):
        keep()
        Job.objects.update(created_at=broker.now() - sweep.AGE - sweep.AGE)
    keep()
    mine = worker_of(broker, lane)
    broker.release(mine.record(mine.worker), lost=False)
    again = worker_of(broker, lane)
    for worker in broker.processes():
        if worker.record.queue == NAME and worker.record.id != again.worker:
            broker.release(worker.record, lost=False)
    for job in Job.objects.filter(state=State.QUEUED):
        broker.promote(NAME, job.pk)
    while jobs := again.claim():
        for job in jobs:
            assert again.settle(job)
    merge.merge_queue(broker, lane.policy, merge.Forgetting())
    done = {str(pk) for pk in Job.objects.filter(queue=NAME, state=State.COMPLETED).values_list("pk", flat=True)}
    assert ids - done == set()
    assert not [finding for finding in report().findings if finding.code == "queue_broken"]


def test_foreign_values_beside_the_queues_are_told_by_name(broker: RedisBroker, client: redis.Redis) -> None:
    for name in ("queues", "processes"):
        client.set(key(name, "_"), "foreign")
        with pytest.raises(QueueBroken, match=name):
            broker.processes()
        client.delete(key(name, "_"))
    assert broker.processes() == []


def test_garbage_in_the_wake_list_is_a_hint_like_any_other(broker: RedisBroker, client: redis.Redis) -> None:
    worker = worker_of(broker, lane)
    client.lpush(key("wake"), "garbage", b"\xff\x00", "x" * 100_000)
    ids = {sell(), sell()}
    assert broker.wait_for_hint(NAME, 0.1) is True
    assert {str(job.id) for job in worker.claim()} == ids


def test_record_that_vanished_while_it_waited_is_counted_told_and_pushed_again(
    broker: RedisBroker, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    worker = worker_of(broker, lane)
    ids = [sell(), sell(), sell(delay=3600)]
    keep()
    for record in client.hkeys(key("jobs")):
        client.hdel(key("jobs"), record)
    there = sell()
    claimed = worker.claim(3)
    assert [str(job.id) for job in claimed] == [there]
    keep()
    assert "healed queue=foreign_lane returned=0 vanished=1" in caplog.text
    (found,) = (finding for finding in report().findings if finding.code == "vanished")
    assert (found.queue, "3 jobs" in found.text) == (NAME, True)
    Job.objects.update(created_at=broker.now() - sweep.AGE - sweep.AGE)
    keep()
    keep()
    keep()
    assert {str(job.id) for job in worker.claim()} == set(ids[:2])
    assert (broker.counts(NAME).scheduled, broker.counts(NAME).active) == (1, 3)


def test_record_that_vanished_while_it_ran_costs_the_job_nothing(broker: RedisBroker, client: redis.Redis) -> None:
    worker = worker_of(broker, lane)
    first, second = echo.using(key="k").enqueue("first"), echo.enqueue("second")
    jobs = {job.id: job for job in worker.claim()}
    client.delete(key("jobs"))
    assert worker.settle(jobs[first.id])
    assert worker.settle(jobs[second.id], Retried(0, "broken"))
    (again,) = worker.claim()
    assert (again.id, again.attempts) == (second.id, 1)
    assert (first.state, echo.using(key="k").enqueue("next").created) == (State.COMPLETED, True)
    assert broker.counts(NAME).vanished == 2


def test_jobs_that_an_error_has_left_in_no_order_return_to_it(broker: RedisBroker, client: redis.Redis) -> None:
    worker = worker_of(broker, lane)
    first, scheduled = sell(), sell(delay=3600)
    assert sweep.run() == 0
    client.delete(key("waiting"), key("due"))
    assert worker.claim() == []
    sweep.run()
    assert [str(job.id) for job in worker.claim()] == [first]
    assert broker.counts(NAME).scheduled == 1
    assert scheduled != first
