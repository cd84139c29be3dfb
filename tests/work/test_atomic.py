"""An atomic task's effects are there exactly once, on every broker and both databases (G3)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from msgspec.structs import replace

from jobs import Fixed, Queue, RateLimit, clock, current_job
from jobs.broker import forget_broker
from jobs.broker.contract import Broker
from jobs.broker.database import markers as database_markers
from jobs.broker.records import ClaimedJob, Completed, HandedBack, Postponed, Settlement
from jobs.enqueue.outbox import push_pending
from jobs.history import markers
from jobs.keep import recover
from jobs.models import Job, Marker
from jobs.operate.retry import retry
from jobs.work import execution
from tests.contract.conftest import BENCHES, OF_TRANSACTIONS, Bench
from tests.contract.hands import Hands
from tests.databases import emptied

ON_REDIS = [name for name in OF_TRANSACTIONS if name.startswith("redis")]
on_redis = pytest.mark.parametrize("bench", ON_REDIS, indirect=True)


@pytest.fixture(params=OF_TRANSACTIONS)
def bench(request: pytest.FixtureRequest, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with BENCHES[request.param]() as standing, emptied():
        forget_broker()
        monkeypatch.setattr("jobs.broker._make_broker", lambda: standing.broker)
        monkeypatch.setattr(database_markers, "AGAIN", 0.0)
        yield standing
        forget_broker()


@pytest.fixture
def patch(bench: Bench) -> Iterator[pytest.MonkeyPatch]:
    """What it changes is undone while the test's database is still the default one."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def broker(bench: Bench) -> Broker:
    return bench.broker


@pytest.fixture
def queue(bench: Bench) -> Queue:
    return Queue("lane", attempts=2, backoff=Fixed(0))


@pytest.fixture
def hands(bench: Bench) -> Hands:
    return Hands(bench.broker)


@pytest.fixture
def follow(queue: Queue) -> object:
    @queue.task(name="atomic.follow")
    def follow(name: str) -> None: ...

    return follow


@pytest.fixture
def create(queue: Queue, follow: object) -> object:
    """Makes a group, and a job that waits for long."""

    @queue.task(name="atomic.create", atomic=True)
    def create(name: str) -> str:
        Group.objects.create(name=name)
        follow.using(delay=3600).enqueue(name)
        return name

    return create


def start(hands: Hands, queue: Queue, claimed: ClaimedJob) -> Settlement | None:
    """Run a claimed job as far as its worker gets before it speaks to the broker again."""
    return execution.execute(claimed, queue, hands.worker)


def work(hands: Hands, queue: Queue) -> list[Settlement]:
    """Claim, run and settle what is due, one by one; what the exchanges settled."""
    done: list[Settlement] = []
    for claimed in iter(lambda: next(iter(hands.claim(1, policy=queue.policy)), None), None):
        if (settlement := start(hands, queue, claimed)) is not None:
            hands.exchange(settlement, wanted=0)
            done.append(settlement)
        assert len(done) < 50
    return done


def effects() -> list[str]:
    return sorted(Group.objects.values_list("name", flat=True))


def followers() -> int:
    return Job.objects.filter(task="atomic.follow").count()


def test_data_jobs_and_end_commit_together(hands: Hands, queue: Queue, create: object, bench: Bench) -> None:
    handle = create.enqueue("sales")
    work(hands, queue)
    assert (effects(), followers()) == (["sales"], 1)
    assert (handle.state, handle.result(timeout=0)) == ("completed", "sales")
    assert bench.counters("lane") == {"completed": 1}


def test_failure_leaves_neither_data_nor_jobs_nor_marker(
    hands: Hands, queue: Queue, follow: object, bench: Bench
) -> None:
    @queue.task(atomic=True)
    def fail() -> None:
        Group.objects.create(name="sales")
        follow.enqueue("sales")
        raise ValueError

    handle = fail.enqueue()
    work(hands, queue)
    assert (handle.state, handle.attempt) == ("failed", 2)
    assert (effects(), followers(), Marker.objects.count()) == ([], 0, 0)


def test_process_that_dies_between_commit_and_settle_leaves_the_effects_once(
    hands: Hands, queue: Queue, create: object, bench: Bench
) -> None:
    handle = create.enqueue("sales")
    start(hands, queue, hands.claim_one())
    hands.release(hands.worker, lost=True)
    hands.worker = hands.new_worker()
    work(hands, queue)
    assert (effects(), followers()) == (["sales"], 1)
    assert (handle.state, handle.result(timeout=0)) == ("completed", "sales")
    assert bench.counters("lane")["completed"] == 1


def test_process_that_wakes_up_before_its_begin_changes_nothing_even_when_the_marker_is_gone(
    hands: Hands, queue: Queue, broker: Broker
) -> None:
    @queue.task(atomic=True)
    def create() -> None:
        Group.objects.create(name=str(clock.new_id()))  # nothing but the lease keeps a second one away

    handle = create.enqueue()
    sleeper, stalled = hands.worker, hands.claim_one()
    hands.release(hands.worker, lost=True)
    hands.worker = hands.new_worker()
    work(hands, queue)
    assert handle.state == "completed"
    Marker.objects.all().delete()
    assert execution.execute(stalled, queue, sleeper) is None
    assert len(effects()) == 1
    assert not Marker.objects.exists()


def test_process_that_wakes_up_inside_its_task_and_its_successor_leave_the_effects_once(
    hands: Hands, queue: Queue, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep, wake = threading.Event(), threading.Event()

    @queue.task(atomic=True)
    def count_up() -> None:
        if not asleep.is_set():
            asleep.set()
            assert wake.wait(60)
        Group.objects.create(name=f"{current_job()._claimed.token}")

    monkeypatch.setattr(database_markers, "PATIENCE", 0.2)
    handle = count_up.enqueue()
    sleeper, stalled = hands.worker, hands.claim_one()

    def sleep() -> None:
        execution.execute(stalled, queue, sleeper)
        connection.close()

    thread = threading.Thread(target=sleep)
    thread.start()
    try:
        assert asleep.wait(60)
        broker = bench.another()
        if connection.vendor == "sqlite":
            # the database itself has only one writer: the other one's BEGIN waits until the first is over
            threading.Timer(0.5, wake.set).start()
        else:
            broker.release(hands.record(sleeper), lost=True)
            hands.worker = hands.new_worker()
            if not broker.rows_are_the_queue:
                again = start(hands, queue, hands.claim_one())
                assert isinstance(again.outcome, Postponed), again
                assert hands.exchange(again, wanted=0).settled[0].counted
            wake.set()
        if connection.vendor == "sqlite" and not broker.rows_are_the_queue:
            broker.release(hands.record(sleeper), lost=True)
            hands.worker = hands.new_worker()
        broker.close()
        thread.join()
    finally:
        wake.set()
        thread.join()
    work(hands, queue)
    assert len(effects()) == 1
    assert handle.state == "completed"
    assert bench.counters("lane")["completed"] == 1


@pytest.mark.parametrize("took_place", [True, False], ids=["took place", "did not"])
def test_commit_that_raises_is_unknown_and_the_effects_are_there_once(
    hands: Hands, queue: Queue, create: object, took_place: bool, patch: pytest.MonkeyPatch
) -> None:
    patch.setattr(execution, "COMMIT_DELAY", 0.0)
    wrapper, times = connections["default"], count()
    commit = wrapper._commit

    def fail() -> None:
        if Group.objects.exists() and next(times) == 0:
            if took_place:
                commit()
            raise OperationalError("connection lost")
        commit()

    patch.setattr(wrapper, "_commit", fail)
    handle = create.enqueue("sales")
    outcomes = [type(settlement.outcome) for settlement in work(hands, queue)]
    assert (HandedBack in outcomes) is not took_place
    assert (effects(), followers()) == (["sales"], 1)
    assert (handle.state, handle.attempt) == ("completed", 1)


def test_commit_that_raises_and_of_which_nobody_can_know_is_handed_back(
    hands: Hands, queue: Queue, create: object, bench: Bench, patch: pytest.MonkeyPatch
) -> None:
    patch.setattr(execution, "COMMIT_DELAY", 0.0)
    patch.setattr(execution._Execution, "_has_committed", lambda self: False)
    wrapper, times = connections["default"], count()
    commit = wrapper._commit

    def fail() -> None:
        mine = Group.objects.exists()
        commit()
        if mine and next(times) == 0:
            raise OperationalError("connection lost")

    patch.setattr(wrapper, "_commit", fail)
    handle = create.enqueue("sales")
    work(hands, queue)
    assert effects() == ["sales"]
    assert (handle.state, handle.result(timeout=0)) == ("completed", "sales")
    assert bench.counters("lane") == {"completed": 1}


def test_hook_that_fails_behind_the_commit_changes_nothing_of_the_end(
    hands: Hands, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    @queue.task(atomic=True)
    def create() -> None:
        Group.objects.create(name="sales")
        transaction.on_commit(fail)

    def fail() -> None:
        raise ValueError("too late")

    handle = create.enqueue()
    work(hands, queue)
    assert (handle.state, handle.attempt, effects()) == ("completed", 1, ["sales"])
    assert "after_commit_failed" in caplog.text


def test_constraint_that_only_the_commit_sees_is_a_failure(
    hands: Hands, queue: Queue, patch: pytest.MonkeyPatch
) -> None:
    wrapper = connections["default"]
    commit = wrapper._commit

    def refuse() -> None:
        if Group.objects.exists():
            raise IntegrityError("deferred")
        commit()

    @queue.task(atomic=True, attempts=1)
    def create() -> None:
        Group.objects.create(name="sales")

    handle = create.enqueue()
    patch.setattr(wrapper, "_commit", refuse)
    work(hands, queue)
    assert (handle.state, effects()) == ("failed", [])


def test_job_of_a_limited_queue_looks_at_the_clock_behind_its_begin(hands: Hands, queue: Queue, broker: Broker) -> None:
    paced = Queue("lane", rate_limit=RateLimit(1, per=3600))
    started: list[UUID] = []

    @paced.task(atomic=True)
    def note() -> None:
        started.append(current_job().id)

    for _ in range(8):
        broker._guards["lane"].learn(0.5)  # the second start is in time, however busy the machine
    note.enqueue()
    late = replace(hands.claim_one(policy=paced.policy), start_by=clock.monotonic() + 1e-3)
    settlement = start(hands, paced, late)
    assert isinstance(settlement.outcome, HandedBack)
    assert hands.exchange(settlement, wanted=0, policy=paced.policy).settled[0].counted
    # its grant is free again, and no marker stands in its way
    work(hands, paced)
    assert len(started) == 1


@on_redis
def test_wiped_redis_does_not_start_again_what_had_committed(
    hands: Hands, queue: Queue, create: object, bench: Bench
) -> None:
    with transaction.atomic():
        handle = create.enqueue("sales")
    recover.recover(bench.broker, "lane")
    push_pending([handle.id])
    settlement = start(hands, queue, hands.claim_one())
    bench._client.flushall()
    assert recover.recover(bench.broker, "lane") > 0
    push_pending([handle.id])
    sleeper, hands.worker = hands.worker, hands.new_worker()
    (again,) = work(hands, queue)
    assert isinstance(again.outcome, Completed)
    hands.exchange(settlement, wanted=0, worker=sleeper)
    assert bench.counters("lane")["completed"] == 1
    assert (effects(), handle.state, handle.result(timeout=0)) == (["sales"], "completed", "sales")


@on_redis
def test_redis_that_forgot_the_end_does_not_start_the_job_again(
    hands: Hands, queue: Queue, create: object, bench: Bench
) -> None:
    with transaction.atomic():
        handle = create.enqueue("sales")
    work(hands, queue)
    assert handle.state == "completed"
    saved = Job.objects.get(pk=handle.id)
    bench._client.flushall()
    job = hands.new_job(id=handle.id, task="atomic.create", message=saved.message)
    hands.worker = hands.new_worker()
    bench.broker.push("lane", [job])
    work(hands, queue)
    assert effects() == ["sales"]


@on_redis
@pytest.mark.parametrize("how", ["killed its worker", "cancelled", "expired"])
def test_history_calls_completed_what_had_committed_whatever_followed(
    hands: Hands, queue: Queue, create: object, bench: Bench, how: str
) -> None:
    handle = create.using(expires=timedelta(hours=1)).enqueue("sales")
    start(hands, queue, hands.claim_one())
    hands.release(hands.worker, lost=True)
    if how == "killed its worker":
        hands.lose(4)
    elif how == "cancelled":
        assert handle.cancel() == "cancelled"
    else:
        bench.advance(3700)
        bench.broker.reap(["lane"], blame=False)
    assert bench.broker.find("lane", handle.id) is None
    assert (handle.state, handle.result(timeout=0)) == ("completed", "sales")
    counters = bench.counters("lane")
    assert {counters.pop("lost"), *counters.items()} == {5 if how == "killed its worker" else 1, ("completed", 1)}
    assert Marker.objects.filter(ended_at=None).count() == 0


@on_redis
def test_retry_of_a_dead_letter_whose_effects_came_late_runs_nothing(
    hands: Hands, queue: Queue, create: object, bench: Bench
) -> None:
    handle = create.enqueue("sales")
    hands.lose(5)
    assert handle.state == "failed"
    # what a process left that woke up between its last look and its COMMIT
    Marker.objects.create(job_id=handle.id, run=1, queue="lane", claimed_at=clock.now(), result='"sales"')
    retry(handle)
    hands.worker = hands.new_worker()
    work(hands, queue)
    assert (handle.state, handle.result(timeout=0), effects()) == ("completed", "sales", [])


@on_redis
def test_marker_goes_a_minute_after_the_history_has_the_end(
    hands: Hands, queue: Queue, create: object, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = create.enqueue("sales")
    work(hands, queue)
    assert Marker.objects.get().ended_at is None
    assert markers.forget(bench.broker) == 0
    bench.record(handle.id)
    marker = Marker.objects.get()
    assert (marker.ended_at is not None, marker.result) == (True, None)
    assert markers.forget(bench.broker) == 0
    monkeypatch.setattr(markers, "REMEMBER", timedelta(0))
    assert markers.forget(bench.broker) == 1


@on_redis
def test_marker_of_a_job_without_a_row_goes_too(hands: Hands, create: object, bench: Bench) -> None:
    from jobs.history import facts
    from jobs.policy import QueuePolicy, Retention

    queue = create.queue
    create.enqueue("sales")
    work(hands, queue)
    facts.catch_up(bench.broker, QueuePolicy("lane", retention=Retention(completed=0)), 100)
    assert not Job.objects.filter(task="atomic.create").exists()
    assert Marker.objects.get().ended_at is not None


@on_redis
def test_marker_whose_job_nobody_knows_any_more_goes_after_a_week_and_no_other(
    hands: Hands, queue: Queue, create: object, bench: Bench
) -> None:
    create.enqueue("sales")
    start(hands, queue, hands.claim_one())
    Marker.objects.update(claimed_at=clock.now() - timedelta(days=8))
    assert markers.forget(bench.broker) == 0
    bench._client.flushall()
    Job.objects.filter(task="atomic.create").delete()
    assert markers.forget(bench.broker) == 1


@on_redis
def test_tasks_own_lock_timeout_is_left_as_it_was(hands: Hands, queue: Queue) -> None:
    if connection.vendor != "postgresql":
        return
    seen: list[str] = []

    @queue.task(atomic=True)
    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            seen.extend(cursor.fetchone())

    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET lock_timeout = '17s'")
    connection.close()
    try:
        look.enqueue()
        work(hands, queue)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} RESET lock_timeout")
        connection.close()
    assert seen == ["17s"]
