"""On PostgreSQL claims stay quick behind an old snapshot, which keeps dead rows alive, and lose no job by it."""

import statistics
import time
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction

from jobs import clock
from jobs.broker.database.broker import DatabaseBroker
from jobs.broker.database.postgresql import dead_rows as bounds_of_dead_rows
from jobs.broker.records import Completed, HandedBack
from jobs.models import Job
from jobs.policy import QueuePolicy, RateLimit
from tests.contract.hands import Hands
from tests.databases import default_is, migrated_settings, postgresql_server

pytestmark = pytest.mark.django_db(transaction=True)

#: What a claim may take behind 100,000 jobs that were settled while a snapshot is open, in seconds.
PROMISED = 0.005
#: Claims after which a process has noticed.
FIRST_FEW = 3
LIMITED = QueuePolicy("lane", global_concurrency=1_000)
PACED = QueuePolicy("lane", rate_limit=RateLimit(100_000, per=1))
POLICIES = pytest.mark.parametrize(
    "policy", [QueuePolicy("lane"), LIMITED, PACED], ids=["free", "global concurrency", "rate limit"]
)

_LOAD = """
    INSERT INTO jobs_job (id, run, queue, task, state, priority, message, created_at, ready_at, expires_at,
        attempts, starts, lost, alone, token, cancel_requested, error, reason, event, about_type, about_id)
    SELECT gen_random_uuid(), 1, 'lane', 'app.task', 'queued', %s, '{}', now(),
        clock_timestamp() - interval '1 hour' + n * interval '10 milliseconds', %s,
        0, 0, 0, false, 0, false, '', '', '', '', ''
    FROM generate_series(1, %s) AS n
"""


@pytest.fixture(scope="module")
def server(django_db_blocker):
    """A database of this module's own: an open snapshot would stop the others' tables from being emptied."""
    with django_db_blocker.unblock():
        yield migrated_settings(postgresql_server(), "snapshots")


@pytest.fixture(scope="module")
def dead_rows(server):
    """The same with 100,000 settled jobs of priority 40: a snapshot keeps them among the due and the expiring ones."""
    address = {"host": server["HOST"], "port": server["PORT"], "user": server["USER"], "dbname": server["NAME"]}
    with psycopg.connect(**address, autocommit=True) as other, psycopg.connect(**address) as reader:
        other.execute(_LOAD, [40, clock.now(), 100_000])
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT count(*) FROM jobs_job")
        other.execute("UPDATE jobs_job SET state = 'completed', ended_at = clock_timestamp() WHERE priority = 40")
        yield server


@pytest.fixture
def broker(server, transactional_db):
    with default_is(server):
        broker = DatabaseBroker("default")
        yield broker
        broker.close()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM jobs_attempt")
            cursor.execute("DELETE FROM jobs_job WHERE priority <> 40 OR state <> 'completed'")
            cursor.execute("DELETE FROM jobs_queuestate")


@pytest.fixture
def hands(broker):
    return Hands(broker)


@pytest.fixture
def lane(broker):
    return broker._dead_rows["lane"]


def skip(lane, seconds):
    """Let this process believe that it saw a long walk: for so long it skips what it takes for dead rows."""
    for start in lane.starts.values():
        start.until = clock.monotonic() + seconds


@contextmanager
def session():
    """A session of somebody else, in a transaction."""
    params = connection.get_connection_params()
    with psycopg.connect(**{name: params[name] for name in ("host", "port", "user", "dbname")}) as other:
        yield other


def full_walk():
    """What a claim takes that skips nothing, in seconds."""
    other, took = Hands(DatabaseBroker("default")), []
    for _ in range(7):
        other.broker._dead_rows.clear()
        took.append(timed(lambda: other.claim(1))[0])
    other.broker.close()
    return statistics.median(took)


def are_quick(took):
    """Whether claims keep the promise, or on a machine that is busy take half of a full walk at most."""
    return statistics.median(took) <= max(PROMISED, full_walk() / 2)


@contextmanager
def old_snapshot():
    with session() as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT count(*) FROM jobs_job")
        yield


def timed(action):
    began = time.perf_counter()
    answer = action()
    return time.perf_counter() - began, answer


def wait_until(condition, limit=20.0):
    until = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


# Quick


@pytest.mark.slow
@POLICIES
def test_idle_looks_behind_an_old_snapshot_are_quick_soon_after_the_start(dead_rows, hands, lane, policy):
    looks = [timed(lambda: hands.claim_ids(policy=policy)) for _ in range(40 + FIRST_FEW)]
    assert [ids for _, ids in looks] == [[]] * len(looks)
    took = [seconds for seconds, _ in looks[FIRST_FEW:]]
    assert are_quick(took)
    # without the bounds a look walks over what the snapshot keeps: that is what these tests are about
    assert full_walk() > 2 * statistics.median(took)


@pytest.mark.slow
@POLICIES
def test_the_first_new_job_after_a_quiet_while_is_claimed_quickly(dead_rows, hands, lane, policy):
    # beside three other suites a moment is long now and then: one round of three shows it
    for _round in range(3):
        took = []
        for _ in range(9):
            for _ in range(FIRST_FEW):
                assert hands.claim_ids(policy=policy) == []
            wait_until(lambda: not any(lane.bounds(walk=True).since.values()))
            job_id = hands.push()
            seconds, ids = timed(lambda: hands.claim_ids(policy=policy))
            assert ids == [job_id]
            took.append(seconds)
        if are_quick(took):
            return
    pytest.fail(f"{took}")


@pytest.mark.slow
@pytest.mark.parametrize("priority", [80, 0])
def test_jobs_of_one_priority_are_claimed_quickly_past_the_dead_rows_of_another(dead_rows, hands, broker, priority):
    took = []
    for _ in range(40 + FIRST_FEW):
        job_id = hands.push(priority=priority)
        seconds, jobs = timed(lambda: hands.claim(10))
        assert [job.id for job in jobs] == [job_id]
        assert hands.settle(jobs[0])
        took.append(seconds)
    assert are_quick(took[FIRST_FEW:])


@pytest.mark.slow
def test_a_backlog_is_claimed_quickly_past_the_dead_rows_of_a_higher_priority(dead_rows, hands, broker):
    ids = [pushed.id for pushed in hands.push_all([hands.new_job() for _ in range(40 + FIRST_FEW)])]
    claims = [timed(lambda: hands.claim_ids(1)) for _ in ids]
    assert [claimed for _, claimed in claims] == [[id] for id in ids]
    assert are_quick([seconds for seconds, _ in claims[FIRST_FEW:]])


@pytest.mark.slow
def test_claims_stay_quick_behind_an_old_snapshot(server, hands, broker):
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, [0, None, 100_600])
    with old_snapshot():
        jobs = hands.claim(500)
        for _ in range(200):
            jobs = hands.exchange(*[hands.settlement(job, Completed()) for job in jobs], wanted=500).jobs
        assert Job.objects.filter(stored_priority=0, state="completed").count() == 100_000
        took = [timed(lambda: hands.claim_one())[0] for _ in range(60)]
        assert are_quick(took)


# And nothing is lost


def test_jobs_before_the_bounds_are_claimed_when_there_is_nothing_else_to_do(hands, lane):
    newest = hands.push()
    assert hands.claim_ids() == [newest]
    skip(lane, 60)
    late = hands.push(ready_at=clock.now() - timedelta(days=1))
    assert hands.claim_ids() == []
    skip(lane, 0)
    newer = hands.push()
    assert [hands.claim_ids(), hands.claim_ids()] == [[newer], [late]]


def test_jobs_before_the_bounds_do_not_wait_for_the_end_of_a_backlog(hands, lane):
    backlog = [hands.push() for _ in range(3)]
    assert hands.claim_ids(1) == backlog[:1]
    skip(lane, 60)
    late = hands.push(ready_at=clock.now() - timedelta(days=1))
    assert hands.claim_ids(1) == backlog[1:2]
    skip(lane, 0)
    assert [hands.claim_ids(1), hands.claim_ids(1)] == [[late], backlog[2:]]


@pytest.mark.parametrize("row_exists", [True, False])
@pytest.mark.parametrize("how", ["handed back", "released", "lost"])
def test_jobs_that_come_back_stand_at_their_old_places_although_claims_skip_dead_rows(
    hands, broker, lane, how, row_exists
):
    if row_exists:
        broker.pause("lane")
        broker.resume("lane")
    ages = [timedelta(minutes=age) for age in (9, 8, 7, 6, 5, 4)]
    ids = [hands.push(ready_at=clock.now() - age) for age in ages]
    other = hands.new_worker()
    claimed = hands.claim(3, worker=other)
    skip(lane, 60)
    assert hands.claim_ids(1) == ids[3:4]
    if how == "handed back":
        for job in claimed:
            hands.settle(job, HandedBack("stopping"), worker=other)
    else:
        # in truth another process does it
        DatabaseBroker("default").release(hands.record(other), lost=how == "lost")
    assert [hands.claim_ids(1), hands.claim_ids(1)] == [ids[0:1], ids[1:2]]
    assert hands.claim_ids() == [ids[2], *ids[4:]]


def test_what_is_seen_in_a_transaction_that_is_rolled_back_sets_no_bounds(hands, monkeypatch):
    monkeypatch.setattr(bounds_of_dead_rows, "SLOW", float("-inf"))
    monkeypatch.setattr(bounds_of_dead_rows, "LONGEST", 60.0)
    monkeypatch.setattr(bounds_of_dead_rows, "FULL_EVERY", 1e9)
    job_id = hands.push(ready_at=clock.now() - timedelta(days=1))
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assert hands.claim_ids(1) == [job_id]
        assert hands.claim_ids() == []
        raise ZeroDivisionError
    assert hands.claim_ids() == [job_id]


@pytest.mark.slow
@POLICIES
@pytest.mark.parametrize("how", ["committed late", "was locked"])
def test_a_job_that_turns_up_before_the_bounds_starts_within_seconds(dead_rows, hands, lane, policy, how):
    with session() as other:
        other.execute(_LOAD, [0, None, 1])
        job_id, due = other.execute("SELECT id, ready_at FROM jobs_job WHERE priority = 0").fetchone()
        if how == "was locked":
            other.commit()
            other.execute("SELECT id FROM jobs_job WHERE id = %s FOR UPDATE", [job_id])

        def is_passed():
            assert hands.claim_ids(policy=policy) == []
            return (lane.bounds().since.get(0) or due) > due

        wait_until(is_passed)
        other.commit()
    wait_until(lambda: hands.claim_ids(policy=policy) == [job_id], limit=5)


@pytest.mark.slow
@POLICIES
@pytest.mark.parametrize("delay", [0.1, 0.9, 1.5])
def test_a_delayed_job_starts_on_time_while_dead_rows_are_skipped(dead_rows, hands, broker, lane, policy, delay):
    for _ in range(FIRST_FEW):
        hands.claim(policy=policy)
    assert lane.bounds().since.keys() >= set(bounds_of_dead_rows.GIVEN)
    job_id, ids = hands.push(delay=delay), []
    due = Job.objects.get(id=job_id).ready_at
    while not ids:
        began = broker.now()
        ids = hands.claim_ids(policy=policy)
        assert ids or began < due, "a look that began after the due time did not bring the job"
    assert ids == [job_id]
    assert hands.claim_ids(policy=policy) == []
