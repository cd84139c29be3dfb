"""REDIS_URL is set while jobs wait and run in the database: nothing is lost, nothing runs twice (DESIGN: Recovery)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction

from jobs import clock
from jobs.broker import get_broker
from jobs.broker.database.broker import DatabaseBroker
from jobs.broker.database.rows import insert_rows
from jobs.broker.records import Completed, HandedBack, PushStatus, Retried
from jobs.broker.redis.broker import RedisBroker
from jobs.enqueue.accept import accept
from jobs.enqueue.outbox import push_pending
from jobs.history import facts
from jobs.keep import recover, relay, take_over
from jobs.models import Job, Process, QueueState
from jobs.policy import QueuePolicy, RateLimit
from jobs.states import State
from tests.contract.hands import Hands

pytestmark = pytest.mark.usefixtures("each_database", "redis_is_the_broker")


@pytest.fixture(autouse=True)
def _fresh_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take_over, "_free", set())
    monkeypatch.setattr(take_over, "_after", {})
    monkeypatch.setattr(take_over, "LOOK", 0.0)


@pytest.fixture
def old() -> Iterator[Hands]:
    """A worker of the database that has never heard of Redis."""
    broker = DatabaseBroker("default")
    yield Hands(broker)
    broker.close()


@pytest.fixture
def new(broker: RedisBroker) -> Hands:
    return Hands(broker)


def keep() -> None:
    """What a keeper on Redis does in a second."""
    for _ in range(2):
        take_over.run()
        recover.run()
        Job.objects.filter(state="pending").update(created_at=clock.now() - timedelta(seconds=5))
        relay.run()


def test_jobs_that_wait_come_over_in_their_order(old: Hands, new: Hands) -> None:
    low, first, second = old.push(priority=-10), old.push(), old.push()
    keep()
    assert new.claim_ids() == [first, second, low]


def test_worker_of_the_database_takes_nothing_that_has_come_over(old: Hands, new: Hands) -> None:
    job_id = old.push()
    keep()
    assert Job.objects.get(pk=job_id).state == "queued"
    assert old.claim_ids() == []
    assert new.claim_ids() == [job_id]


def test_what_runs_in_the_database_ends_there(old: Hands, new: Hands) -> None:
    job_id = old.push()
    held = old.claim_one()
    keep()
    assert new.broker.find("lane", job_id).state == State.ACTIVE
    assert new.claim_ids() == []
    assert old.settle(held, Completed("1"))
    keep()
    assert new.broker.find("lane", job_id) is None
    assert new.claim_ids() == []
    facts.catch_up(new.broker, new.policy, 10)
    row = Job.objects.get(pk=job_id)
    assert (row.state, row.result, row.attempts) == ("completed", "1", 1)


@pytest.mark.parametrize("outcome", [Retried(0, "broken"), HandedBack("stopping")], ids=["retried", "handed back"])
def test_what_a_worker_of_the_database_puts_back_comes_over(old: Hands, new: Hands, outcome: object) -> None:
    job_id = old.push(key="k")
    held = old.claim_one()
    keep()
    assert old.settle(held, outcome)
    # nobody else gets its key meanwhile
    assert new.push_one(key="k").status is PushStatus.DUPLICATE
    keep()
    assert old.claim_ids() == []
    (again,) = new.claim()
    assert (again.id, again.attempts, again.starts) == (job_id, int(isinstance(outcome, Retried)), 1)


def test_what_a_dead_worker_of_the_database_held_comes_over(old: Hands, new: Hands) -> None:
    job_id = old.push(key="k")
    held = old.claim_one()
    keep()
    Process.objects.filter(pk=old.worker).update(lease_until=clock.now() - timedelta(seconds=1))
    keep()
    assert new.claim_ids() == [job_id]
    # it wakes up
    assert not old.settle(held, Completed("late"))


@pytest.mark.parametrize("runs", [True, False], ids=["runs", "waits"])
@pytest.mark.parametrize("in_transaction", [True, False])
def test_key_of_a_job_of_the_database_is_taken_before_any_keeper_has_looked(
    old: Hands, new: Hands, runs: bool, in_transaction: bool
) -> None:
    holder = old.push(key="k")
    if runs:
        old.claim_one()
    job = replace(new.new_job(key="k"), task="take_over.sell")
    if in_transaction:
        with transaction.atomic():
            (answer,) = accept([job])
        if runs:
            assert Job.objects.get(pk=job.id).state == "cancelled"
    else:
        (answer,) = accept([job])
        assert (answer.id, answer.created) == (holder, False)
    assert new.broker.find("lane", job.id) is None
    keep()
    assert new.push_one(key="k").holder == holder


def test_key_of_what_runs_in_the_database_is_taken_until_it_ends(old: Hands, new: Hands) -> None:
    holder = old.push(key="k")
    held = old.claim_one()
    keep()
    answer = new.push_one(key="k")
    assert (answer.status, answer.holder) == (PushStatus.DUPLICATE, holder)
    old.settle(held, Completed())
    keep()
    assert new.push_one(key="k").status is PushStatus.ACCEPTED


def test_global_concurrency_counts_what_runs_in_the_database(old: Hands, new: Hands) -> None:
    policy = QueuePolicy("lane", global_concurrency=2)
    for _ in range(4):
        old.push()
    held = old.claim(1, policy=policy)
    keep()
    (claimed,) = new.claim(policy=policy)
    assert claimed.id != held[0].id
    old.settle(held[0], Completed())
    keep()
    assert len(new.claim(policy=policy)) == 1


def test_grants_of_the_database_count_in_the_rate_limit(old: Hands, new: Hands) -> None:
    policy = QueuePolicy("lane", rate_limit=RateLimit(3, per=3600))
    for _ in range(5):
        old.push()
    held = old.claim(2, policy=policy)
    assert len(held) == 2
    keep()
    assert len(new.claim(policy=policy)) == 1
    keep()
    assert new.claim(policy=policy) == []


def test_what_a_process_of_the_database_accepts_later_comes_over(old: Hands, new: Hands) -> None:
    first = old.push()
    keep()
    second = old.push()
    assert old.claim_ids() == []
    keep()
    assert new.claim_ids() == [first, second]


def test_relay_of_the_database_leaves_the_outbox_to_redis(
    old: Hands, new: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.push(priority=-10)
    keep()
    job = old.new_job(key="k")
    insert_rows(connection, [job], State.PENDING)
    monkeypatch.setattr("jobs.broker._make_broker", lambda: old.broker)
    get_broker.cache_clear()
    assert push_pending([job.id]) == 0
    assert Job.objects.get(pk=job.id).state == "pending"
    monkeypatch.setattr("jobs.broker._make_broker", lambda: new.broker)
    get_broker.cache_clear()
    assert push_pending([job.id]) == 1
    assert new.claim_ids(1) == [job.id]


def test_wiped_redis_takes_over_again_and_what_ran_in_the_database_still_counts(
    old: Hands, new: Hands, client: object
) -> None:
    running, waiting = old.push(key="k"), old.push()
    held = old.claim_one()
    keep()
    client.flushall()
    keep()
    fresh = Hands(new.broker)
    assert fresh.push_one(key="k").holder == running
    assert fresh.claim_ids() == [waiting]
    assert old.settle(held, Completed())
    keep()
    assert fresh.claim_ids() == []


def test_mark_is_set_once(old: Hands, new: Hands) -> None:
    old.push()
    keep()
    assert QueueState.objects.get(queue="lane").elsewhere
