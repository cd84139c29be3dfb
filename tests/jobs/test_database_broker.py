"""What only the database broker promises: the outbox, transactions of the caller, locks and processes."""

import os
import sqlite3
import warnings
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, repeat

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction

from jobs import Queue, clock
from jobs.broker import get_broker
from jobs.broker.database import pending as outbox
from jobs.broker.database import rows
from jobs.broker.database.broker import DatabaseBroker
from jobs.broker.database.sqlite import connection as connecting
from jobs.broker.records import CancelAnswer, Completed, Failed, PushStatus, Reaped
from jobs.errors import BrokerAway
from jobs.models import Attempt, Job, Process
from jobs.policy import QueuePolicy, RateLimit
from jobs.states import State
from tests.contract.hands import QUEUES, Hands
from tests.counted import counted, times

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]


@pytest.fixture
def broker():
    broker = DatabaseBroker("default")
    yield broker
    broker.close()


@pytest.fixture
def hands(broker):
    return Hands(broker)


@contextmanager
def write_lock():
    """Another process in the middle of a write."""
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.fixture
def impatient(monkeypatch):
    """The broker's own connection waits for no lock."""
    monkeypatch.setattr(connecting, "LOCK_TIMEOUT", 0.01)


def pending(hands, **options):
    job = hands.new_job(**options)
    rows.insert_rows(connection, [job], State.PENDING)
    return job


def state_of(job_id):
    return Job.objects.get(id=job_id).state


def test_another_vendor_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(connections["default"], "vendor", "oracle")
    with pytest.raises(ImproperlyConfigured, match="is oracle; jobs are kept in SQLite or PostgreSQL"):
        DatabaseBroker("default")


def test_a_pushed_pending_row_is_queued_with_the_due_time_of_its_acceptance(hands, broker):
    job = pending(hands, delay=60)
    due = Job.objects.get(id=job.id).ready_at
    assert hands.push_all(outbox.read_pending(connection))[0].status is PushStatus.ACCEPTED
    assert (state_of(job.id), Job.objects.get(id=job.id).ready_at) == ("queued", due)
    assert hands.push_all([job])[0].status is PushStatus.KNOWN


def test_a_pending_row_whose_key_is_taken_stays_as_it_is(hands, broker):
    job = pending(hands, key="k")
    holder = hands.push(key="k")
    answer = hands.push_all([job])[0]
    assert (answer.status, answer.holder) == (PushStatus.DUPLICATE, holder)
    assert state_of(job.id) == "pending"


def test_pending_rows_with_one_key_do_not_meet_before_they_are_pushed(hands, broker):
    first, second = pending(hands, key="k"), pending(hands, key="k")
    answers = hands.push_all([second, first])
    assert [answer.status for answer in answers] == [PushStatus.ACCEPTED, PushStatus.DUPLICATE]


def test_a_pending_row_that_comes_too_late_ends_as_expired(hands, broker, monkeypatch):
    job = pending(hands, expires_in=10)
    later = clock.now() + timedelta(seconds=11)
    monkeypatch.setattr(clock, "now", lambda: later)
    hands.push_all([job])
    assert state_of(job.id) == "expired"
    assert counted("lane") == {"expired": 1}


def test_a_next_run_by_way_of_the_outbox(hands, broker):
    job_id = hands.fail_one()
    assert outbox.start_next_run(connection, job_id) == 2
    assert hands.push_all(outbox.read_pending(connection, [job_id]))[0].status is PushStatus.ACCEPTED
    assert (hands.claim_one().run, state_of(job_id)) == (2, "active")


def test_a_pending_row_is_not_claimed(hands):
    pending(hands)
    assert hands.claim_ids() == []


def test_a_pending_row_can_be_cancelled(hands, broker):
    job = pending(hands)
    assert broker.cancel("lane", job.id, "not wanted") is CancelAnswer.CANCELLED
    assert state_of(job.id) == "cancelled"


def test_what_people_ask_for_belongs_to_their_open_transaction(hands, broker):
    scheduled, waiting = hands.push(delay=60), hands.push()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Job.objects.filter(id=waiting).update(reason="the write lock is mine")
        broker.pause("lane")
        assert broker.promote("lane", scheduled) is True
        assert broker.cancel("lane", waiting, "not wanted") is CancelAnswer.CANCELLED
        assert hands.push_all([hands.new_job()])[0].status is PushStatus.ACCEPTED
        assert broker.counts("lane").paused is True
        raise ZeroDivisionError
    assert hands.claim_ids() == [waiting]


def test_a_worker_within_a_transaction_sees_that_transactions_jobs(hands):
    with transaction.atomic():
        job_id = hands.push()
        claimed = hands.claim_one()
        assert hands.settle(claimed, Completed())
    assert state_of(job_id) == "completed"


def test_an_idle_exchange_takes_no_write_lock(hands, broker, impatient):
    hands.push(delay=60)
    broker.close()
    with write_lock():
        assert hands.exchange().jobs == ()


def test_more_late_jobs_than_one_trip_ends_are_not_claimed_either(hands, broker, monkeypatch):
    hands.push_all([hands.new_job(expires_in=10) for _ in range(1_001)])
    later = clock.now() + timedelta(seconds=11)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert hands.claim_ids() == []
    assert Job.objects.filter(state="expired").count() == 1_000
    assert hands.claim_ids() == []
    assert Job.objects.filter(state="expired").count() == 1_001


def test_a_paused_or_exhausted_queue_is_looked_at_without_the_write_lock(hands, broker, impatient):
    paced = QueuePolicy("lane", rate_limit=RateLimit(1, per=60))
    hands.push()
    hands.push()
    assert len(hands.claim(2, policy=paced)) == 1
    broker.close()
    with write_lock():
        assert hands.claim_ids(policy=paced) == []
    broker.pause("lane")
    with write_lock():
        assert hands.claim_ids() == []


def test_a_busy_database_is_away_and_leaves_the_broker_usable(hands, broker, impatient):
    job_id = hands.push()
    broker.close()
    with write_lock(), pytest.raises(BrokerAway, match="locked"):
        hands.claim()
    assert hands.claim_ids() == [job_id]


def test_a_failed_trip_changes_nothing(hands, broker):
    hands.push()
    hands.push()
    first, second = hands.claim(2)
    broken = hands.settlement(second, Failed("\ud800 cannot be written"))
    with pytest.raises(UnicodeEncodeError):
        hands.exchange(hands.settlement(first, Completed()), broken)
    assert (state_of(first.id), Attempt.objects.count()) == ("active", 0)
    assert hands.settle(first)


def test_a_reaper_that_waits_for_the_lock_blames_nobody_whose_lease_ends_meanwhile(hands, broker, monkeypatch):
    worker = hands.new_worker(lease=10)
    hands.push()
    claimed = hands.claim_one(worker=worker)
    called, later = clock.now(), clock.now() + timedelta(seconds=11)
    moments = chain([called], repeat(later))
    monkeypatch.setattr(clock, "now", lambda: next(moments))
    assert broker.reap(QUEUES) == Reaped()
    assert broker.holds("lane", claimed.id, claimed.token)
    assert broker.reap(QUEUES) == Reaped(lost=1)


def test_jobs_of_a_worker_without_a_row_are_reaped(hands, broker):
    hands.push()
    hands.claim_one()
    Process.objects.all().delete()
    assert broker.reap(QUEUES) == Reaped(lost=1)


def test_reap_removes_the_rows_of_dead_processes_of_every_kind(broker, hands, monkeypatch):
    later = clock.now() + timedelta(days=365)
    monkeypatch.setattr(clock, "now", lambda: later)
    broker.reap(QUEUES)
    assert Process.objects.count() == 0


def test_a_clock_that_was_set_back_does_not_stop_a_limited_queue(hands, monkeypatch):
    paced = QueuePolicy("lane", rate_limit=RateLimit(1, per=1))
    for _ in range(3):
        hands.push(ready_at=clock.now() - timedelta(days=2))
    assert len(hands.claim(3, policy=paced)) == 1
    back = clock.now() - timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: back)
    assert hands.exchange(policy=paced).wait <= 1.1


def test_counters_hold_the_time_waited_and_run(hands, broker):
    hands.push()
    claimed = hands.claim_one()
    started = claimed.ready_at + timedelta(seconds=2)
    settlement = hands.settlement(claimed, Completed())
    settlement = type(settlement)(claimed, Completed(), started, started + timedelta(seconds=3))
    hands.exchange(settlement, wanted=0)
    assert (counted("lane"), times("lane")) == ({"completed": 1}, (3_000, 2_000))


def test_the_history_names_the_worker_and_keeps_the_traceback(hands):
    hands.push()
    hands.settle(hands.claim_one(), Failed("ValueError: broken", "Traceback (most recent call last) ..."))
    attempt = Attempt.objects.get()
    assert (attempt.worker, attempt.error, attempt.traceback[:9]) == ("host:42", "ValueError: broken", "Traceback")


def test_people_sync_each_commit_and_workers_do_not(hands, broker):
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (2,)
    hands.claim()
    own = broker._database._own
    assert own.execute("PRAGMA synchronous").fetchone() == (1,)
    assert own.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_database_name_opens_another_connection(hands, broker, tmp_path, monkeypatch):
    hands.push()
    assert broker.counts("lane").waiting == 1
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", str(tmp_path / "empty.sqlite3"))
    with pytest.raises(BrokerAway, match="no such table"):
        broker.counts("lane")
    monkeypatch.undo()
    assert broker.counts("lane").waiting == 1


def test_a_forked_child_opens_a_connection_of_its_own(hands, broker):
    job_id = hands.push()
    claimed = hands.claim_one()
    inherited = broker._database._own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            held = broker.holds("lane", job_id, claimed.token)
            os._exit(0 if held and broker._database._own is not inherited else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert hands.settle(claimed)


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_live_jobs_are_counted_by_the_spelling_of_their_indexes():
    """With the other spelling beside it each row is fetched: 16,000 of them took 42 ms, and take 2."""
    queue = Queue("counted_by_spelling")

    @queue.task(name="counted.by_spelling")
    def nothing() -> None: ...

    nothing.enqueue()
    nothing.using(delay=60).enqueue()
    broker = get_broker()
    with broker._database.read() as trip:
        chosen = broker._counting(trip)
        assert chosen in {"count_live_jobs_by_word", "count_live_jobs_by_number"}
        found = {name: trip.run(name, queue=queue.name, now=trip.text_now) for name in ("count_live_jobs", chosen)}
    assert found == {"count_live_jobs": [(1, 1, 0)], chosen: [(1, 1, 0)]}
