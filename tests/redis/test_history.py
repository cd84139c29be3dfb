"""History by facts (G9): never wrong, whoever merges and however late; and what is known of a job without a row."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.db import DatabaseError, connection, connections, transaction

from jobs import JobHandle, Queue, clock
from jobs.broker.records import Completed, Failed, PushStatus, Retried
from jobs.broker.redis.broker import RedisBroker
from jobs.enqueue import outbox
from jobs.errors import BrokerAway, JobFailed, Refused, ResultTimeout, UnknownJob
from jobs.history import facts
from jobs.history.counters import totals
from jobs.keep import merge
from jobs.models import Attempt, Job
from jobs.operate.cancel import cancel
from jobs.operate.erase import erase_jobs
from jobs.operate.promote import promote
from jobs.operate.retry import retry
from jobs.policy import QueuePolicy, Retention
from jobs.states import State
from tests.contract.hands import Hands
from tests.counted import times

pytestmark = pytest.mark.usefixtures("each_database", "redis_is_the_broker")
lane = Queue("redis_lane", attempts=2)


@lane.task(name="redis.echo")
def echo(text: str) -> str:
    return text


kept_one = Queue("redis_narrow", keep_completed=1)


@kept_one.task(name="redis.narrow")
def narrow(text: str) -> str:
    return text


@pytest.fixture
def at_work(broker: RedisBroker) -> Hands:
    """A worker of the queue above."""
    hands = Hands(broker)
    hands.policy = lane.policy
    hands.worker = hands.new_worker()
    return hands


def merge_all(broker: RedisBroker, policy: QueuePolicy, forgetting: merge.Forgetting | None = None) -> int:
    merged = 0
    while taken := merge.merge_queue(broker, policy, forgetting or merge.Forgetting()):
        merged += taken
    return merged


def counted(queue: str, name: str) -> int:
    ran, waited = times(queue)
    return {**totals(queue), "ran_ms": ran, "waited_ms": waited}[name]


def test_job_without_a_row_is_known_by_its_handle_at_once_as_it_is(at_work: Hands) -> None:
    handle = echo.enqueue("hello")
    assert not Job.objects.exists()
    assert (handle.state, handle.args) == (State.QUEUED, ["hello"])
    claimed = at_work.claim_one()
    assert handle.state == State.ACTIVE
    at_work.settle(claimed, Retried(60, "broken"))
    assert (handle.shown_state, handle.attempt, handle.error) == ("retrying", 1, "broken")


def test_result_is_there_without_a_keeper(at_work: Hands) -> None:
    handle = echo.enqueue("hello")
    waits = threading.Timer(0.1, lambda: at_work.settle(at_work.claim_one(), Completed('"hello"')))
    waits.start()
    assert handle.result(10) == "hello"


def test_keys_hold_before_any_worker_or_keeper_ever_ran(client: redis.Redis) -> None:
    assert client.dbsize() == 0
    keyed = echo.using(key="k")
    first, second = keyed.enqueue("a"), keyed.enqueue("b")
    assert (first.created, second.created, second.id) == (True, False, first.id)
    with transaction.atomic():
        third = keyed.enqueue("c")
    assert (third.state, third.job.reason) == (State.CANCELLED, f"duplicate of {first.id}")
    first.cancel()
    assert keyed.enqueue("d").created


def test_each_end_is_told_to_who_waits_for_the_result_of_a_job_without_a_row(at_work: Hands) -> None:
    done, failed, cancelled = (echo.enqueue("x") for _ in range(3))
    with pytest.raises(ResultTimeout, match="queued"):
        done.result(0)
    at_work.settle(at_work.claim_one(), Completed('{"ok":[1,"é"]}'))
    at_work.settle(at_work.claim_one(), Failed("it broke"))
    cancelled.cancel()
    assert done.result(0) == {"ok": [1, "é"]}
    with pytest.raises(JobFailed, match="it broke"):
        failed.result(0)
    with pytest.raises(JobFailed, match="cancelled"):
        cancelled.result(0)


def test_result_that_retention_dropped_before_anybody_looked_is_gone_and_that_is_said(at_work: Hands) -> None:
    handles = [narrow.enqueue("x") for _ in range(3)]
    at_work.policy = kept_one.policy
    at_work.worker = at_work.new_worker()
    for _ in handles:
        at_work.settle(at_work.claim_one(), Completed('"x"'))
    assert handles[-1].result(0) == "x"
    with pytest.raises(UnknownJob, match="retention has removed it"):
        handles[0].result(0)


def test_job_that_nobody_knows_is_unknown() -> None:
    with pytest.raises(UnknownJob):
        _ = JobHandle(clock.new_id()).state


def test_command_line_shows_cancels_and_promotes_jobs_that_have_no_row(broker: RedisBroker) -> None:
    handle = echo.using(delay=3600).enqueue("hello")
    out = io.StringIO()
    call_command("jobs", "show", str(handle.id), "--json", stdout=out)
    assert json.loads(out.getvalue())["state"] == "scheduled"
    promote(echo.using(delay=3600).enqueue("x"))
    assert broker.counts("redis_lane").waiting == 1
    cancel(handle)
    assert handle.state == State.CANCELLED
    assert not Job.objects.filter(state=State.ACTIVE).exists()


def in_the_outbox(broker: RedisBroker, at_work: Hands) -> JobHandle:
    with pytest.MonkeyPatch.context() as patch:
        broker.close()
        patch.setitem(broker._server._options, "port", 1)
        return echo.using(key="ana@example.org").enqueue("x")


def waiting_in_redis(broker: RedisBroker, at_work: Hands) -> JobHandle:
    return echo.enqueue("ana@example.org")


def dead_letter(broker: RedisBroker, at_work: Hands) -> JobHandle:
    handle = echo.enqueue("ana@example.org")
    at_work.settle(at_work.claim_one(), Failed("broken"))
    return handle


def forgotten_dead_letter(broker: RedisBroker, at_work: Hands) -> JobHandle:
    handle = dead_letter(broker, at_work)
    merge_all(broker, lane.policy)
    broker.forget_facts("redis_lane", *facts.position("redis_lane"))
    return handle


@pytest.mark.parametrize("place", [in_the_outbox, waiting_in_redis, dead_letter, forgotten_dead_letter])
@pytest.mark.parametrize(
    "way",
    [cancel, JobHandle.cancel, lambda handle: erase_jobs([], ["ana@example.org"])],
    ids=["act", "handle", "erase"],
)
def test_job_is_cancelled_wherever_it_is(
    broker: RedisBroker,
    at_work: Hands,
    place: Callable[[RedisBroker, Hands], JobHandle],
    way: Callable[[JobHandle], object],
) -> None:
    handle = place(broker, at_work)
    way(handle)
    assert handle.state == State.CANCELLED


def test_completed_jobs_that_retention_would_drop_cost_no_row_and_are_counted(broker: RedisBroker) -> None:
    hands = Hands(broker)
    ids = [hands.push() for _ in range(5)]
    for _ in ids:
        hands.settle(hands.claim_one())
    merge_all(broker, QueuePolicy("lane", retention=Retention(completed=2)))
    assert set(Job.objects.values_list("id", flat=True)) == set(ids[3:])
    assert (Attempt.objects.count(), counted("lane", "completed")) == (2, 5)


def test_facts_that_are_too_young_bring_the_keeper_back_soon(broker: RedisBroker, hands: Hands) -> None:
    forgetting = merge.Forgetting()
    for _ in range(20):
        job_id = hands.push()
        hands.settle(hands.claim_one())
        merge.merge_queue(broker, hands.policy, forgetting, calm=60.0)
        if not Job.objects.filter(pk=job_id, state=State.COMPLETED).exists():
            break
    else:
        pytest.fail("this machine takes longer for each job than facts are patient")
    assert merge.merge_queue(broker, hands.policy, forgetting, calm=60.0) > 0
    merge_all(broker, hands.policy)
    assert Job.objects.get(pk=job_id).state == State.COMPLETED


def test_facts_merged_twice_count_once(broker: RedisBroker, hands: Hands) -> None:
    hands.push()
    hands.settle(hands.claim_one())
    known = facts.position("lane")
    page = broker.read_facts("lane", *known, 100)
    assert facts.merge("lane", known, [page])
    assert not facts.merge("lane", known, [page])
    assert (Attempt.objects.count(), counted("lane", "completed")) == (1, 1)


def test_merge_that_fails_half_way_leaves_nothing_and_is_made_again(
    broker: RedisBroker, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands.push()
    hands.settle(hands.claim_one())

    def away(*args: Any) -> None:
        raise DatabaseError("away")

    with monkeypatch.context() as patch:
        patch.setattr(facts, "add_counts_of_hour", away)
        with pytest.raises(DatabaseError):
            merge_all(broker, hands.policy)
    assert not Job.objects.exists()
    assert merge_all(broker, hands.policy) > 0
    assert (Job.objects.get().state, Attempt.objects.count()) == (State.COMPLETED, 1)
    assert counted("lane", "completed") == 1


def test_many_keepers_at_once_count_each_end_once(broker: RedisBroker, hands: Hands) -> None:
    jobs = [hands.new_job() for _ in range(900)]
    hands.push_all(jobs)
    while claimed := hands.claim(300):
        hands.exchange(*(hands.settlement(job, Completed()) for job in claimed), wanted=0)
    errors: list[BaseException] = []

    def keep() -> None:
        try:
            while facts.position("lane")[1] != last:
                merge.merge_queue(broker, hands.policy, merge.Forgetting())
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    last = broker.read_facts("lane", "", "", 10_000).last
    keepers = [threading.Thread(target=keep) for _ in range(3)]
    for keeper in keepers:
        keeper.start()
    for keeper in keepers:
        keeper.join(60)
    assert errors == []
    assert counted("lane", "completed") == 900
    assert (Job.objects.filter(state=State.COMPLETED).count(), Attempt.objects.count()) == (900, 900)


def test_database_that_was_away_for_long_is_told_everything_in_order(broker: RedisBroker, hands: Hands) -> None:
    ids = [hands.push() for _ in range(50)]
    for _ in range(3):
        for job in hands.claim(50):
            outcome = Retried(0, "broken") if job.attempts < 2 else Completed()
            hands.settle(job, outcome)
    merge_all(broker, hands.policy)
    assert Job.objects.filter(state=State.COMPLETED, attempts=3, starts=3).count() == 50
    timeline = Attempt.objects.filter(job=ids[7]).order_by("id").values_list("number", "outcome")
    assert list(timeline) == [(1, "failed"), (2, "failed"), (3, "completed")]
    assert (counted("lane", "retried"), counted("lane", "completed")) == (100, 50)


def test_facts_of_an_older_run_change_no_row(broker: RedisBroker, hands: Hands) -> None:
    job_id = hands.fail_one()
    known = facts.position("lane")
    late = broker.read_facts("lane", *known, 100)
    merge_all(broker, hands.policy)
    Job.objects.update(run=2, state=State.PENDING)
    with connection.cursor() as cursor:
        facts._write(cursor, "lane", [late])
    assert Job.objects.get(pk=job_id).state == State.PENDING


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets this process's own time pass."""
    ahead, monotonic = [0.0], clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + ahead[0])

    def let_pass(seconds: float) -> None:
        ahead[0] += seconds

    return let_pass


def test_only_what_the_history_has_held_for_a_minute_is_forgotten(
    broker: RedisBroker, hands: Hands, client: redis.Redis, passing: Callable[[float], None]
) -> None:
    forgetting = merge.Forgetting()
    first, second = hands.new_job(), hands.new_job()
    hands.push_all([first])
    hands.settle(hands.claim_one())
    merge_all(broker, hands.policy, forgetting)
    passing(59)
    hands.push_all([second])
    hands.settle(hands.claim_one())
    merge_all(broker, hands.policy, forgetting)
    assert client.xlen("{tests:lane}:facts") == 4
    passing(2)
    merge_all(broker, hands.policy, forgetting)
    assert client.xlen("{tests:lane}:facts") == 2
    assert hands.push_all([second])[0].status is PushStatus.KNOWN
    assert hands.push_all([first])[0].status is PushStatus.ACCEPTED


def test_what_was_erased_does_not_come_back_by_facts_that_are_late(broker: RedisBroker, at_work: Hands) -> None:
    running = echo.enqueue("ana@example.org too")
    claimed = at_work.claim_one()
    waiting = echo.enqueue("ana@example.org")
    erased = erase_jobs([], ["ana@example.org"])
    assert running.id in erased.running
    at_work.settle(claimed, Completed('"ana@example.org"'))
    erase_jobs([], ["ana@example.org"], known=erased.running)
    merge_all(broker, lane.policy)
    texts = [text for row in Job.objects.values_list("message", "result", "error", "reason") for text in row if text]
    assert not [text for text in texts if "ana" in text]
    assert (waiting.state, running.state) == (State.CANCELLED, State.COMPLETED)


def test_row_of_a_job_that_came_again_after_it_was_cancelled_and_dropped_ends(
    broker: RedisBroker, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    job = hands.new_job()
    hands.push_all([job])
    broker.cancel("lane", job.id, "not wanted")
    none = QueuePolicy("lane", retention=Retention(completed=0))
    merge_all(broker, none)
    assert not Job.objects.exists()
    outbox.put([job])
    outbox.push_pending()
    merge_all(broker, none)
    assert (Job.objects.get().state, counted("lane", "cancelled")) == (State.CANCELLED, 1)


def test_discarded_dead_letter_whose_row_knew_nothing_of_its_failure_ends(broker: RedisBroker, hands: Hands) -> None:
    none = QueuePolicy("lane", retention=Retention(completed=0))
    job_id = hands.push()
    merge_all(broker, none)
    hands.settle(hands.claim_one(), Failed("broken"))
    broker.cancel("lane", job_id, "not wanted")
    merge_all(broker, none)
    assert (Job.objects.get().state, counted("lane", "failed")) == (State.CANCELLED, 1)


def test_dead_letter_whose_retry_was_refused_can_be_discarded(broker: RedisBroker, at_work: Hands) -> None:
    first = echo.using(key="k").enqueue("a")
    at_work.settle(at_work.claim_one(), Failed("broken"))
    merge_all(broker, lane.policy)
    echo.using(key="k").enqueue("b")
    with pytest.raises(Refused):
        retry(first)
    cancel(first)
    merge_all(broker, lane.policy)
    assert Job.objects.get(pk=first.id).state == State.CANCELLED


def test_erasing_finds_every_live_job_that_has_no_row(broker: RedisBroker, client: redis.Redis, at_work: Hands) -> None:
    person = "ana@example.org"
    running = echo.enqueue(person)
    claimed = at_work.claim_one()
    texts = [(f"{number} {person if number % 500 == 499 else ''}",) for number in range(1_000)]
    later = echo.using(delay=3600)
    echo.enqueue_many(texts)
    later.enqueue_many(texts)
    keyed = later.using(key=f"welcome:{person}").enqueue("x")
    assert not Job.objects.exists()
    erased = erase_jobs([], [person])
    assert (erased.jobs, erased.cancelled, erased.running) == (6, 5, (running.id,))
    at_work.settle(claimed, Failed(f"to {person}"))
    assert erase_jobs([], [person], known=erased.running).running == ()
    assert broker.counts("redis_lane").waiting == 998
    assert keyed.state == State.CANCELLED
    left = [text for row in Job.objects.values_list("message", "key", "error", "reason") for text in row if text]
    assert not [text for text in (*left, *held_in(client)) if person in text]


@pytest.mark.parametrize("gone", ["redis", "one queue"])
def test_nothing_is_called_erased_where_not_all_jobs_can_be_found(
    broker: RedisBroker, client: redis.Redis, hands: Hands, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    echo.enqueue("ana@example.org")
    hands.push(queue="other")
    with monkeypatch.context() as patch:
        if gone == "redis":
            broker.close()
            patch.setitem(broker._server._options, "port", 1)
        else:
            client.rename("{tests:other}:jobs", "spare")
            client.set("{tests:other}:jobs", "of another program")
        with pytest.raises(BrokerAway):
            erase_jobs([], ["ana@example.org"])
    if gone == "one queue":
        client.rename("spare", "{tests:other}:jobs")
    assert erase_jobs([], ["ana@example.org"]).cancelled == 1


def test_erasing_in_a_transaction_is_refused_since_jobs_without_a_row_cannot_be_found(broker: RedisBroker) -> None:
    echo.enqueue("ana@example.org")
    with transaction.atomic(), pytest.raises(Refused, match="after its commit"):
        erase_jobs([], ["ana@example.org"])


def held_in(client: redis.Redis) -> list[str]:
    """All that the queue's hashes hold."""
    keys = [key for key in client.scan_iter("{tests:redis_lane}:*") if client.type(key) == b"hash"]
    return [word.decode(errors="replace") for key in keys for pair in client.hgetall(key).items() for word in pair]


def test_a_page_of_facts_that_ends_before_a_key_was_given_away_is_written(
    broker: RedisBroker, at_work: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = echo.using(key="one").enqueue("first")
    (claimed,) = at_work.claim()
    assert at_work.settle(claimed, Retried(0, "broken"))
    (claimed,) = at_work.claim()
    assert at_work.settle(claimed, Completed("1"))
    with transaction.atomic():
        second = echo.using(key="one").enqueue("second")
    assert Job.objects.get(pk=second.id).state == State.QUEUED
    monkeypatch.setattr(facts, "LOOK", 1)
    monkeypatch.setattr(facts, "ROWS", 1)
    merge_all(broker, lane.policy)
    assert {str(row.state) for row in Job.objects.filter(pk=first.id)} == {State.COMPLETED}
    assert Job.objects.get(pk=second.id).key == "one"
    assert [one.outcome for one in Attempt.objects.filter(job=first.id).order_by("id")] == ["failed", "completed"]
