"""Recovery (DESIGN §6): what Redis may have lost is found and pushed again, and what has ended does not start."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import redis
from django.db import transaction

import jobs
from jobs import Queue, RateLimit
from jobs.broker import forget_broker
from jobs.broker.lanes import GroupSettings
from jobs.broker.records import ClaimedJob, Completed, Failed, HandedBack, Outcome, Retried
from jobs.broker.redis.broker import RedisBroker
from jobs.enqueue import outbox
from jobs.history import facts
from jobs.history.counters import totals
from jobs.keep import merge, recover, relay, sweep
from jobs.models import Attempt, Job, QueueState
from jobs.states import State
from tests.contract.hands import Hands
from tests.faults.harness import wait_for
from tests.servers import RedisServer

pytestmark = pytest.mark.usefixtures("each_database")
lane = Queue("recovery_lane", attempts=3)
NAME = lane.policy.name


@lane.task(name="recovery.echo")
def echo(text: str) -> str:
    return text


class Store:
    """A server whose file can be cut back to an earlier moment, as by a lost second."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server

    def moment(self) -> tuple[Path, int]:
        """The file as it is now."""
        (file,) = [*self.server.folder.rglob("*.incr.aof"), *self.server.folder.glob("*.aof")]
        return file, file.stat().st_size

    def return_to(self, moment: tuple[Path, int]) -> None:
        """Lose what came after that."""
        self.server.stop(signal.SIGKILL)
        os.truncate(*moment)
        self.server.start()

    def restart(self) -> None:
        self.return_to(self.moment())

    def wipe(self) -> None:
        with redis.Redis.from_url(self.server.url()) as client:
            client.flushall()


@pytest.fixture
def store(make_server: Callable[..., RedisServer]) -> Store:
    return Store(make_server(appendonly="yes", appendfsync="always", **{"auto-aof-rewrite-percentage": "0"}))


@pytest.fixture
def broker(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisBroker]:
    broker = RedisBroker(store.server.url(), "tests")
    forget_broker()
    monkeypatch.setattr("jobs.broker._make_broker", lambda: broker)
    monkeypatch.setattr(outbox, "_away_until", 0.0)
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    monkeypatch.setattr(recover, "_reached", {})
    broker.push(NAME, [])
    recover.recover(broker, NAME)
    yield broker
    broker.close()
    forget_broker()


@pytest.fixture
def worker(broker: RedisBroker) -> Hands:
    return Hands(broker, policy=lane.policy)


def sell(text: str = "x", **options: object) -> UUID:
    """Enqueue with a row."""
    with transaction.atomic():
        return echo.using(**options).enqueue(text).id


def merge_all(broker: RedisBroker) -> int:
    return merge.merge_queue(broker, lane.policy, merge.Forgetting())


def mend(broker: RedisBroker) -> int:
    rows = recover.recover(broker, NAME)
    relay.run()
    return rows


def counted(name: str) -> int:
    return totals(NAME)[name]


def claims_of(worker: Hands) -> list[ClaimedJob]:
    """Claim all with a worker of the present life."""
    worker.worker = worker.new_worker()
    return worker.claim(100)


def test_restarted_redis_that_lost_nothing_gets_nothing_again_and_old_tokens_hold(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    ids = [sell() for _ in range(3)]
    held = worker.claim_one()
    store.restart()
    assert mend(broker) == 0
    assert broker.holds(NAME, held.id, held.token)
    assert worker.settle(held)
    assert {job.id for job in worker.claim()} == {*ids} - {held.id}


def test_tokens_of_a_life_that_was_lost_do_not_come_again(store: Store, broker: RedisBroker, worker: Hands) -> None:
    sell()
    before = store.moment()
    first = worker.claim_one()
    store.return_to(before)
    mend(broker)
    second = worker.claim_one()
    assert second.id == first.id
    assert second.token != first.token
    # who held it before does not settle for who holds it now
    assert not worker.settle(first)


def test_attempts_starts_and_losses_outlive_a_wiped_redis(store: Store, broker: RedisBroker, worker: Hands) -> None:
    sell()
    worker.settle(worker.claim_one(), Retried(0, "broken"))
    worker.lose(1)
    merge_all(broker)
    store.wipe()
    assert mend(broker) == 1
    (again,) = claims_of(worker)
    assert (again.attempts, again.starts, again.lost) == (1, 2, 1)


def test_redis_learns_the_attempts_that_it_has_forgotten(store: Store, broker: RedisBroker, worker: Hands) -> None:
    sell()
    before = store.moment()
    worker.settle(worker.claim_one(), Retried(0, "broken"))
    worker.lose(2)
    merge_all(broker)
    store.return_to(before)
    assert mend(broker) == 0
    # lost twice, so it must run alone
    assert worker.claim() == []
    again = worker.claim_one(alone=True)
    assert (again.attempts, again.starts, again.lost) == (1, 3, 2)


def test_next_run_of_a_dead_letter_that_redis_has_forgotten_runs_as_that(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    id = sell()
    before = store.moment()
    worker.settle(worker.claim_one(), Failed("broken"))
    merge_all(broker)
    Job.objects.get(pk=id)
    from jobs.operate.retry import retry

    retry(id)
    relay.run()
    store.return_to(before)
    mend(broker)
    again = claims_of(worker)
    assert [(job.id, job.run, job.attempts) for job in again] == [(id, 2, 0)]


def test_what_has_ended_is_not_handed_out_again_by_a_redis_that_forgot_it(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    ids = [sell(key=str(number)) for number in range(3)]
    before = store.moment()
    for job in worker.claim(2):
        worker.settle(job)
    merge_all(broker)
    store.return_to(before)
    # the keeper has not looked yet
    exchange = worker.exchange()
    assert exchange.jobs == ()
    assert exchange.wait is not None
    assert exchange.wait <= 3
    assert mend(broker) == 0
    assert [job.id for job in worker.claim()] == ids[2:]
    assert sell(key="0") not in ids
    assert Job.objects.filter(state=State.COMPLETED, starts=1).count() == 2


@pytest.mark.parametrize("lost", [False, True], ids=["given back", "lost"])
def test_claim_whose_end_only_the_history_knows_is_no_second_attempt_when_it_goes_back(
    store: Store, broker: RedisBroker, worker: Hands, lost: bool
) -> None:
    id = sell()
    held = worker.claim_one()
    before = store.moment()
    worker.settle(held)
    merge_all(broker)
    store.return_to(before)
    # before the keeper has looked
    if lost:
        worker.release(worker.worker, lost=True)
    else:
        worker.exchange()
    merge_all(broker)
    mend(broker)
    assert (counted("completed"), counted("lost")) == (1, 0)
    assert list(Attempt.objects.filter(job=id).values_list("outcome", flat=True)) == ["completed"]
    assert (Job.objects.get(pk=id).state, Job.objects.get(pk=id).starts) == (State.COMPLETED, 1)
    assert claims_of(worker) == []


def test_what_has_ended_is_not_handed_out_again_where_another_keeper_merged_first(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    sell()
    before = store.moment()
    worker.settle(worker.claim_one())
    merge_all(broker)
    store.return_to(before)
    other = sell()
    merge_all(broker)
    mend(broker)
    assert [job.id for job in worker.claim()] == [other]


def test_claims_go_on_by_themselves_where_no_keeper_mends(
    store: Store, broker: RedisBroker, worker: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell()
    store.restart()
    assert worker.claim() == []
    with redis.Redis.from_url(store.server.url()) as client:
        until = int(client.hget(f"{{tests:{NAME}}}:meta", "mending"))
        seconds, micros = client.time()
        assert 0 < until - seconds * 1_000_000 - micros < 3_000_000
        client.hset(f"{{tests:{NAME}}}:meta", "mending", seconds * 1_000_000 + micros)
    assert len(worker.claim()) == 1


def test_facts_of_a_server_whose_clock_is_behind_are_not_skipped(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    sell("first")
    worker.settle(worker.claim_one())
    lost, kept = sell("lost"), sell("kept")
    merge_all(broker)
    before = store.moment()
    key = f"{{tests:{NAME}}}:facts"
    with redis.Redis.from_url(store.server.url()) as client:
        # the old primary's clock was an hour ahead
        client.execute_command("XSETID", key, f"{(client.time()[0] + 3600) * 1000}-0")
    jobs = {job.id: job for job in worker.claim()}
    worker.settle(jobs[lost])
    merge_all(broker)
    store.return_to(before)
    mend(broker)
    (again,) = worker.claim()
    assert again.id == kept
    worker.settle(again)
    assert merge_all(broker) == 1
    assert Job.objects.filter(state=State.COMPLETED, starts=1).count() == 3
    assert (counted("completed"), Attempt.objects.count()) == (3, 3)


def test_facts_that_were_merged_are_not_counted_again_after_any_restart(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    for _ in range(2):
        sell()
    worker.settle(worker.claim_one())
    merge_all(broker)
    before = store.moment()
    for _ in range(2):
        # a whole life is lost again, with its beginning
        store.return_to(before)
        mend(broker)
        sell()
        merge_all(broker)
    assert counted("completed") == 1
    assert Attempt.objects.count() == 1
    for job in claims_of(worker):
        worker.settle(job)
    merge_all(broker)
    assert counted("completed") == 4


def test_facts_of_a_new_life_are_not_forgotten_by_a_position_of_the_old_one(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    sell()
    before = store.moment()
    worker.settle(worker.claim_one())
    merge_all(broker)
    old = facts.position(NAME)
    store.return_to(before)
    sell()
    mend(broker)
    worker.settle(worker.claim_one())
    broker.forget_facts(NAME, old[0], "9999999999999-0")
    assert facts.catch_up(broker, lane.policy) == 1


@pytest.mark.parametrize("pushed_again", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("with_row", [False, True], ids=["without a row", "with a row"])
def test_job_whose_worker_has_finished_it_does_not_run_again_after_a_wipe(
    store: Store, broker: RedisBroker, worker: Hands, with_row: bool, pushed_again: bool
) -> None:
    id = sell(key="k") if with_row else echo.using(key="k").enqueue("x").id
    held = worker.claim_one()
    store.wipe()
    if pushed_again:
        mend(broker)
    assert worker.settle(held, Completed('"x"'))
    assert worker.settle(held, Completed('"x"'))  # said again, after a lost answer
    merge_all(broker)
    mend(broker)
    mend(broker)
    assert claims_of(worker) == []
    row = Job.objects.get(pk=id)
    assert (row.state, row.starts, row.attempts, row.result, row.key) == (State.COMPLETED, 1, 1, '"x"', "k")
    assert (counted("completed"), Attempt.objects.count()) == (1, 1)
    assert Attempt.objects.get().worker.endswith(f":{os.getpid()}")
    assert echo.using(key="k").enqueue("next").created


@pytest.mark.parametrize(
    ("outcome", "attempts"), [(Retried(0, "broken"), 1), (HandedBack("stopping"), 0)], ids=["retried", "handed back"]
)
def test_job_without_a_row_that_ran_while_redis_was_wiped_comes_back(
    store: Store, broker: RedisBroker, worker: Hands, outcome: Outcome, attempts: int
) -> None:
    id = echo.using(key="k").enqueue("x").id
    held = worker.claim_one()
    store.wipe()
    assert worker.settle(held, outcome)
    (again,) = claims_of(worker)
    assert (again.id, again.attempts, again.starts, again.key, again.message) == (id, attempts, 1, "k", held.message)
    assert echo.using(key="k").enqueue("x").created is False


def test_job_that_another_worker_runs_again_after_a_wipe_is_that_ones(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    sell()
    held = worker.claim_one()
    store.wipe()
    mend(broker)
    (again,) = claims_of(worker)
    assert not worker.settle(held)
    assert worker.settle(again)


def test_retry_of_what_may_have_ended_and_be_forgotten_brings_nothing_back(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    before = store.moment()
    echo.enqueue("x")
    held = worker.claim_one()
    store.return_to(before)
    assert not worker.settle(held, Retried(0, "broken"))
    assert broker.counts(NAME).waiting == 0


def test_job_whose_settlement_was_lost_runs_again_though_its_worker_lives(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    ids = [sell(), sell()]
    first, second = worker.claim()
    before = store.moment()
    worker.settle(first, Retried(0, "broken"))
    store.return_to(before)
    mend(broker)
    # Redis takes it for running: the worker says that it is not, and keeps what it does run
    worker.exchange()
    assert [job.id for job in worker.claim()] == [first.id]
    assert broker.holds(NAME, second.id, second.token)
    assert {first.id, second.id} == set(ids)


def test_pause_and_its_end_are_remembered_when_redis_forgets_them(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    from jobs.operate.pause import pause, resume

    before = store.moment()
    pause(NAME)
    store.return_to(before)
    mend(broker)
    assert broker.counts(NAME).paused
    before = store.moment()
    resume(NAME)
    store.return_to(before)
    mend(broker)
    assert not broker.counts(NAME).paused


def test_limits_that_were_set_are_remembered_when_redis_forgets_them(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    from jobs import RateLimit
    from jobs.operate.limits import reset_limits, set_limits
    from jobs.policy import AS_IN_CODE, AS_THE_CODE_SAYS, QueueLimits

    before = store.moment()
    set_limits(NAME, rate_limit=RateLimit(2, per=60), concurrency=9)
    store.return_to(before)
    assert broker.limits(NAME) == AS_THE_CODE_SAYS
    mend(broker)
    assert broker.limits(NAME) == QueueLimits(RateLimit(2, per=60), 9, AS_IN_CODE)
    before = store.moment()
    reset_limits(NAME)
    store.return_to(before)
    mend(broker)
    assert broker.limits(NAME) == AS_THE_CODE_SAYS


def test_fallen_count_of_pushes_is_a_loss_although_nothing_else_tells_of_it(
    store: Store, broker: RedisBroker, worker: Hands
) -> None:
    id = sell()
    mend(broker)
    with redis.Redis.from_url(store.server.url()) as client:
        client.delete(f"{{tests:{NAME}}}:jobs", f"{{tests:{NAME}}}:waiting")
        client.hset(f"{{tests:{NAME}}}:meta", "sequence", 0)
    assert mend(broker) == 1
    assert [job.id for job in worker.claim()] == [id]


def test_live_row_that_redis_does_not_know_in_two_looks_is_pushed_again(
    store: Store, broker: RedisBroker, worker: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_after", {})
    monkeypatch.setattr(sweep, "_suspects", {})
    lost, held, _waits, young = sell("lost"), sell("held"), sell("waits"), sell("young")
    Job.objects.exclude(pk=young).update(created_at=broker.now() - timedelta(minutes=3))
    mend(broker)
    jobs = worker.claim(2)
    assert {job.id for job in jobs} == {lost, held}
    with redis.Redis.from_url(store.server.url()) as client:
        for id in (lost, young):
            broker.mend(NAME, over=[(id, 1)])
        assert client.hlen(f"{{tests:{NAME}}}:jobs") == 2
    assert sweep.sweep(broker, NAME) == 0
    assert sweep.sweep(broker, NAME) == 1
    assert mend(broker) == 0
    assert broker.find(NAME, lost) is not None
    assert broker.find(NAME, young) is None
    assert sweep.sweep(broker, NAME) == 0


def test_many_rows_are_compared_in_several_runs(
    store: Store, broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction.atomic():
        for number in range(5):
            echo.enqueue(str(number))
    monkeypatch.setattr(recover, "CHUNK", 2)
    monkeypatch.setattr(recover, "LONGEST", 0.0)
    store.wipe()
    assert [recover.recover(broker, NAME) for _ in range(4)] == [2, 2, 1, 0]
    relay.run()
    assert broker.counts(NAME).waiting == 5


@pytest.mark.parametrize("old", ["restarts", "never died"])
def test_two_primaries_after_a_fail_over_are_read_in_turn_and_each_attempt_is_written_once(
    store: Store, broker: RedisBroker, worker: Hands, make_server: Callable[..., RedisServer], old: str
) -> None:
    for _ in range(4):
        sell()
    replica = replica_of(store, make_server)
    with redis.Redis.from_url(replica.url()) as client:
        worker.settle(worker.claim_one())
        wait_for(lambda: client.xlen(f"{{tests:{NAME}}}:facts") == len(broker_facts(store.server)))
        client.replicaof("no", "one")
    if old == "restarts":
        store.restart()
    with closing(RedisBroker(replica.url(), "tests")) as other:
        hands = [Hands(one, policy=lane.policy) for one in (broker, other)]
        for _turn in range(3):
            for one in hands:
                one.broker.mend(NAME, done=one.broker.life(NAME, *facts.position(NAME)).generation)
                one.settle(one.claim_one(), Retried(0, "broken"))
                merge_all(one.broker)
    # a job told of by both ran on both
    assert Attempt.objects.filter(outcome="completed").count() == 1
    assert Attempt.objects.filter(outcome="failed").count() == 6
    assert counted("retried") == 6
    assert counted("completed") == 1


@pytest.mark.parametrize("first", [Completed(), Failed("broken")], ids=["completed", "failed"])
@pytest.mark.parametrize("second", [Completed(), Failed("broken"), Retried(0, "broken")], ids=["done", "dead", "again"])
def test_job_that_two_primaries_ran_has_one_end_in_the_history(
    store: Store,
    broker: RedisBroker,
    worker: Hands,
    make_server: Callable[..., RedisServer],
    first: Outcome,
    second: Outcome,
) -> None:
    id = sell()
    replica = replica_of(store, make_server)
    with redis.Redis.from_url(replica.url()) as client:
        client.replicaof("no", "one")
    store.restart()
    with closing(RedisBroker(replica.url(), "tests")) as other:
        hands = [Hands(one, policy=lane.policy) for one in (broker, other)]
        for one, outcome in zip(hands, (first, second), strict=True):
            one.broker.mend(NAME, done=one.broker.life(NAME, *facts.position(NAME)).generation)
            one.settle(one.claim_one(), outcome)
        for one in (*hands, *hands):
            merge_all(one.broker)
    row = Job.objects.get(pk=id)
    ended = "completed" if isinstance(first, Completed) else "failed"
    assert (row.state, row.attempts, row.starts) == (ended, 1, 1)
    assert list(Attempt.objects.filter(job=id).values_list("outcome", "number")) == [(ended, 1)]
    assert [counted(name) for name in ("completed", "failed", "retried")] == [
        ended == "completed",
        ended == "failed",
        0,
    ]


def replica_of(store: Store, make_server: Callable[..., RedisServer]) -> RedisServer:
    """A server that has what the store has, and follows it."""
    replica = make_server()
    with redis.Redis.from_url(replica.url()) as client:
        client.replicaof("127.0.0.1", store.server.port)
        wait_for(lambda: client.info("replication")["master_link_status"] == "up")
    return replica


def broker_facts(server: RedisServer) -> list[object]:
    with redis.Redis.from_url(server.url()) as client:
        return list(client.xrange(f"{{tests:{NAME}}}:facts"))


def test_what_holds_for_groups_and_tags_is_told_again_to_a_store_that_was_wiped(
    store: Store, broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {NAME: lane})
    jobs.pause_group(lane, "a")
    jobs.set_group_limits(lane, "b", concurrency=1, rate_limit=RateLimit(3, per=60))
    jobs.pause_tag(lane, "x")
    echo.using(group="a").enqueue("x")
    mend(broker)
    before = broker.groups(NAME)
    assert [seen.name for seen in before] == ["a", "b"]

    store.wipe()
    mend(broker)
    assert [seen.settings for seen in broker.groups(NAME)] == [seen.settings for seen in before]
    assert broker.counts(NAME).paused_tags == ("x",)

    # one that a rolled back store believes, and nobody wants any more
    store.wipe()
    broker.set_group(NAME, "c", GroupSettings(paused=True))
    broker.pause_tag(NAME, "y", paused=True)
    mend(broker)
    assert [seen.name for seen in broker.groups(NAME)] == ["a", "b"]
    assert broker.counts(NAME).paused_tags == ("x",)

    # a person says otherwise after it was read what holds
    known = QueueState.objects.get(queue=NAME)
    store.wipe()
    jobs.pause_tag(lane, "z")
    jobs.pause(lane)
    recover.recover(broker, NAME, known)
    counts = broker.counts(NAME)
    assert (counts.paused, counts.paused_tags) == (True, ("x", "z"))
