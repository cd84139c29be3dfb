"""What only PostgreSQL has: many writers, a network that breaks, notifications and poolers."""

import signal
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, connections, transaction

from jobs import Queue, clock
from jobs.broker import forget_broker
from jobs.broker.database import rows
from jobs.broker.database.broker import DatabaseBroker
from jobs.broker.database.outcomes import BUSY
from jobs.broker.records import CancelAnswer, Completed, NewJob, ProcessRecord, PushStatus
from jobs.errors import BrokerUnavailable, InvalidArguments
from jobs.models import Attempt, Job
from jobs.policy import QueuePolicy, RateLimit
from jobs.states import State
from jobs.supervise.start import CannotStart, check_database
from tests.contract.hands import QUEUES, Hands
from tests.counted import counted
from tests.databases import database_settings, default_is, migrated_settings, postgresql_as_default
from tests.faults.proxy import Proxy
from tests.servers import PostgresqlServer, need_postgresql

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def database(transactional_db):
    with postgresql_as_default():
        _empty()
        yield
        _empty()


@pytest.fixture
def broker(database):
    broker = DatabaseBroker("default")
    yield broker
    broker.close()


@pytest.fixture
def hands(broker):
    return Hands(broker)


def _empty():
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_attempt, jobs_job, jobs_queuestate, jobs_taskstat, jobs_process")


def session():
    """A session of somebody else."""
    params = connection.get_connection_params()
    names = ("host", "port", "user", "dbname")
    return psycopg.connect(**{name: params[name] for name in names}, autocommit=True)


def load(number, queue="lane"):
    """Due jobs, quickly; they were due one by one a moment ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO jobs_job (id, run, queue, task, state, priority, message, created_at, ready_at, attempts,
                starts, lost, alone, token, cancel_requested, error, reason, event, about_type, about_id)
            SELECT gen_random_uuid(), 1, %s, 'app.task', 'queued', 5, '{}', now(),
                now() - interval '1 hour' + n * interval '10 milliseconds',
                0, 0, 0, false, 0, false, '', '', '', '', ''
            FROM generate_series(1, %s) AS n
            """,
            [queue, number],
        )


def wait_until(condition, limit=20.0):
    until = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


# Plans


def test_a_claim_reads_few_pages_of_a_table_that_was_never_analyzed(hands, broker):
    load(20_000)
    with session() as reader:
        reader.autocommit = False
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT count(*) FROM jobs_job")
        hands.claim(10)
        own = broker._database._own
        read = "SELECT heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read FROM pg_statio_user_tables "
        read += "WHERE relname = 'jobs_job'"

        def pages():
            if own.info.server_version >= 150000:
                own.execute("SELECT pg_stat_force_next_flush()")
                # the session that loaded the rows has its own count, and tells it when it likes
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_stat_force_next_flush()")
            return own.execute(read).fetchone()[0]

        before = pages()
        for _ in range(20):
            assert len(hands.claim(10)) == 10
        assert pages() - before < 20 * 1_000


def test_the_exchange_is_a_prepared_statement(hands, broker):
    for _ in range(5):
        hands.settle(hands.push() and hands.claim_one())
    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%settled AS (%'"
    assert broker._database._own.execute(prepared).fetchone() == (1,)


@pytest.mark.parametrize(
    ("table", "settings"),
    [
        ("jobs_job", {"autovacuum_vacuum_scale_factor=0.01", "autovacuum_vacuum_threshold=1000"}),
        ("jobs_attempt", {"autovacuum_vacuum_scale_factor=0.01", "autovacuum_vacuum_threshold=1000"}),
        ("jobs_taskstat", {"fillfactor=50", "autovacuum_vacuum_threshold=500"}),
        ("jobs_queuestate", {"fillfactor=50", "autovacuum_vacuum_threshold=500"}),
        ("jobs_process", {"fillfactor=50", "autovacuum_vacuum_threshold=500"}),
    ],
)
def test_dead_rows_of_a_table_that_changes_all_the_time_are_cleared_early(database, table, settings):
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE oid = %s::regclass", [table])
        assert settings <= set(cursor.fetchone()[0])


# Many writers


def test_a_claim_does_not_wait_for_rows_that_another_holds(hands):
    load(3)
    with session() as other, other.transaction():
        other.execute("SELECT id FROM jobs_job ORDER BY ready_at LIMIT 1 FOR UPDATE")
        assert len(hands.claim()) == 2
    assert len(hands.claim()) == 1


def test_many_settling_and_reaping_at_once_end_without_an_error(hands, broker):
    policy = QueuePolicy("lane")
    hands.push_all([hands.new_job() for _ in range(600)])
    errors, done = [], []

    def work():
        own = DatabaseBroker("default")
        mine = Hands(own)
        try:
            jobs = own.exchange(mine.worker, policy, [], 20, number=next(mine.numbers)).jobs
            while jobs:
                settlements = [mine.settlement(job, Completed()) for job in reversed(jobs)]
                answer = own.exchange(mine.worker, policy, settlements, 20, number=next(mine.numbers))
                # a claim of another process may have looked at a row at that moment: say it again
                busy = [job for job, said in zip(reversed(jobs), answer.settled, strict=True) if said == BUSY]
                done.extend(said.counted for said in answer.settled if said != BUSY)
                own.reap(QUEUES)
                own.renew([mine.worker, hands.worker], 1000)
                jobs = [*busy, *answer.jobs]
        except Exception as error:
            errors.append(error)
        finally:
            own.close()
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert done == [True] * 600
    assert counted("lane")["completed"] == 600


def test_a_trip_that_was_chosen_to_end_a_deadlock_is_made_again(hands, broker, monkeypatch):
    job_id = hands.push()
    real, calls = broker._database.read, []

    @contextmanager
    def once_broken():
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("deadlock detected") from psycopg.errors.DeadlockDetected("deadlock detected")
        with real() as trip:
            yield trip

    monkeypatch.setattr(broker._database, "read", once_broken)
    assert hands.claim_ids() == [job_id]
    assert len(calls) == 1  # the second trip locks the worker first


def test_two_relays_with_one_key_make_one_job_live(broker, hands):
    jobs = [hands.new_job(key="k") for _ in range(8)]
    rows.insert_rows(connection, jobs, State.PENDING)
    answers, barrier = [], threading.Barrier(8)

    def push(job):
        own = DatabaseBroker("default")
        barrier.wait(60)
        try:
            answers.extend(own.push("lane", [job]).answers)
        finally:
            own.close()
            connections.close_all()

    threads = [threading.Thread(target=push, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answer.status for answer in answers) == [PushStatus.ACCEPTED] + [PushStatus.DUPLICATE] * 7
    holder = Job.objects.get(state="queued").id
    assert {answer.holder for answer in answers} == {None, holder}


def test_a_taken_key_does_not_break_the_callers_transaction(hands, broker):
    holder = hands.push(key="k")
    with transaction.atomic():
        assert hands.push_one(key="k").holder == holder
        other = hands.push()
    assert set(hands.claim_ids()) == {holder, other}


def test_a_rollback_takes_the_jobs_back(hands, broker):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        hands.push()
        raise ZeroDivisionError
    assert hands.claim_ids() == []


def test_a_cancellation_waits_for_the_claim_that_is_under_way(hands, broker):
    job_id = hands.push()
    with session() as other:
        with other.transaction():
            other.execute("UPDATE jobs_job SET state = 'active', token = 1, worker_id = %s", [hands.worker])
            answers = []
            thread = threading.Thread(
                target=lambda: (answers.append(broker.cancel("lane", job_id, "not wanted")), connections.close_all())
            )
            thread.start()
            wait_until(
                lambda: other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0] > 0, limit=10
            )
        thread.join(60)
    assert answers == [CancelAnswer.ASKED]


def test_two_processes_never_break_the_pace(hands, broker):
    paced = QueuePolicy("lane", rate_limit=RateLimit(5, per=1))
    hands.push_all([hands.new_job() for _ in range(60)])
    claims, until = [], time.monotonic() + 2.5

    def claim():
        own = DatabaseBroker("default")
        worker = Hands(own).worker
        while time.monotonic() < until:
            claims.extend(job.claimed_at for job in own.exchange(worker, paced, [], 3, number=next(hands.numbers)).jobs)
        own.close()
        connections.close_all()

    threads = [threading.Thread(target=claim) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    claims.sort()
    assert len(claims) >= 10
    assert all((later - first).total_seconds() > 1 for first, later in zip(claims, claims[5:], strict=False))


def test_global_concurrency_holds_over_processes(hands, broker):
    policy = QueuePolicy("lane", global_concurrency=3)
    hands.push_all([hands.new_job() for _ in range(100)])
    brokers = [DatabaseBroker("default") for _ in range(4)]
    barrier, claimed = threading.Barrier(4), []

    def claim(own):
        worker = Hands(own).worker
        barrier.wait(60)
        claimed.extend(own.exchange(worker, policy, [], 3, number=next(hands.numbers)).jobs)
        own.close()
        connections.close_all()

    threads = [threading.Thread(target=claim, args=[own]) for own in brokers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(claimed) == 3


# Clocks


def test_the_servers_clock_decides_not_the_machines(hands, broker, monkeypatch):
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(days=3))
    delayed, due = hands.push(delay=3600), hands.push()
    with transaction.atomic():
        rows.insert_rows(connection, [job := hands.new_job()], State.QUEUED)
    assert hands.claim_ids() == [due, job.id]
    assert Job.objects.get(id=delayed).ready_at < real() + timedelta(hours=2)
    assert abs(broker.now() - real()) < timedelta(seconds=60)
    assert broker.reap(QUEUES).lost == 0


# Hints


def hear(broker, seconds=5.0):
    """The next hint or None; a hint about nothing counts as none."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if broker.wait_for_hint("lane", 0.1):
            return True
    return None


@pytest.fixture
def ear(broker):
    """Hears what is said from now on."""
    assert broker.wait_for_hint("lane", 1) is True
    return broker


def test_a_pushed_job_is_announced(ear, hands):
    hands.push()
    assert hear(ear)


def test_jobs_of_a_transaction_are_announced_once_and_after_its_commit(ear, hands):
    with transaction.atomic():
        for _ in range(3):
            rows.insert_rows(connection, [job := hands.new_job()], State.QUEUED)
            ear.hint_after_commit([job])
        assert ear.wait_for_hint("lane", 0.2) is False
    assert hear(ear)
    assert ear.wait_for_hint("lane", 0.2) is False


def test_a_far_job_and_one_of_another_queue_wake_nobody(ear, hands):
    hands.push(delay=60)
    hands.push(queue="other")
    assert not ear.wait_for_hint("lane", 0.2)
    assert not ear.wait_for_hint("lane", 0.2)


def test_a_transaction_with_jobs_of_several_queues_wakes_each_of_them(ear, hands):
    with transaction.atomic():
        jobs = [hands.new_job(queue=queue) for queue in ("before", "lane", "other")]
        rows.insert_rows(connection, jobs, State.QUEUED)
        ear.hint_after_commit(jobs)
    assert ear.wait_for_hint("lane", 2) is True


def test_a_settle_sends_no_hint(ear, hands):
    hands.push()
    assert hear(ear)
    hands.settle(hands.claim_one())
    assert ear.wait_for_hint("lane", 0.2) is False


def test_an_ear_that_is_closed_while_it_listens_says_nothing_about_it(ear, caplog):
    heard = []
    listening = threading.Thread(target=lambda: heard.append(ear.wait_for_hint("lane", 1)))
    listening.start()
    time.sleep(0.05)
    ear.close()
    listening.join(60)
    assert len(heard) == 1
    assert not heard[0]
    assert "no_hints" not in caplog.text


# A server that goes and a network that breaks


@pytest.fixture(scope="module")
def mortal_server():
    """A server of this module's own, which it may end."""
    server = PostgresqlServer.create(need_postgresql())
    server.start()
    yield server
    server.remove()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_the_broker_works_on_after_a_restart_of_the_server(mortal_server, transactional_db, how):
    with default_is(migrated_settings(mortal_server, "restart")):
        broker = DatabaseBroker("default")
        hands = Hands(broker, lease=30)
        first, second = hands.push(), hands.push()
        claimed = hands.claim_one()
        mortal_server.restart(how)
        assert hands.settle(claimed)
        assert hands.claim_ids() == [second]
        assert claimed.id == first
        mortal_server.restart(how)
        assert broker.counts("lane").active == 1  # the first read after it
        mortal_server.restart(how)
        assert hands.push_one().status is PushStatus.ACCEPTED
        broker.close()


@pytest.mark.slow
def test_leases_get_one_more_term_when_the_server_was_away(mortal_server, transactional_db):
    with default_is(migrated_settings(mortal_server, "terms")):
        broker = DatabaseBroker("default")
        hands = Hands(broker, lease=2)
        hands.push()
        claimed = hands.claim_one()
        mortal_server.stop()
        time.sleep(2.1)  # the lease ends meanwhile: that is what is tested
        mortal_server.start()
        connection.close()
        broker.close()
        assert broker.reap(QUEUES).lost == 0
        assert broker.holds("lane", claimed.id, claimed.token)
        wait_until(lambda: broker.reap(QUEUES).lost == 1, limit=10)
        broker.close()


@pytest.fixture
def cut(database):
    """A broker behind a proxy."""
    proxy = Proxy(int(connection.settings_dict["PORT"]))
    settings = {**connection.settings_dict, "HOST": "127.0.0.1", "PORT": proxy.port}
    with default_is(settings):
        broker = DatabaseBroker("default")
        hands = Hands(broker)
        hands.push()
        yield proxy, broker, hands
        broker.close()
    proxy.close()


def test_jobs_whose_claim_was_cut_in_the_reply_are_not_forgotten(cut):
    proxy, _broker, hands = cut
    proxy.cut("hold")  # nothing of the next reply comes through
    claimed = hands.claim_one()
    assert hands.claim_ids() == []
    assert hands.settle(claimed)
    assert Job.objects.get().state == "completed"


def test_a_settle_that_was_cut_in_the_reply_counts_once(cut):
    proxy, _broker, hands = cut
    claimed = hands.claim_one()
    settlement = hands.settlement(claimed, Completed("1"))
    proxy.cut("hold")  # nothing of the next reply comes through
    assert hands.exchange(settlement).settled[0].counted
    assert Attempt.objects.count() == 1
    assert counted("lane") == {"completed": 1}


def test_a_job_that_runs_is_never_recovered_as_a_second_claim(cut):
    proxy, _broker, hands = cut
    running = hands.claim_one()
    hands.push()
    proxy.cut("hold")  # nothing of the next reply comes through
    [other] = hands.claim()
    assert other.id != running.id


def test_a_push_whose_reply_was_cut_took_the_job_once(cut):
    proxy, _broker, hands = cut
    job = hands.new_job(key="k")
    proxy.cut("hold", "INSERT INTO jobs_job")
    assert [answer.holder for answer in hands.push_all([job])] == [None]
    assert Job.objects.filter(id=job.id, state="queued").count() == 1


def test_enqueue_tells_what_is_known_when_the_database_goes(cut):
    proxy, _broker, _hands = cut
    forget_broker()
    lane = Queue("lane")
    task = lane.task(name="test.cut")(lambda: None)
    proxy.cut("hold", "INSERT INTO jobs_job", times=9)
    with pytest.raises(BrokerUnavailable, match="it is not known whether job .* was enqueued"):
        task.enqueue()


def test_letters_that_the_database_lacks_are_refused_at_the_door_and_at_the_start(mortal_server, transactional_db):
    mortal_server.execute("DROP DATABASE IF EXISTS latin")
    mortal_server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    with default_is(database_settings(mortal_server, "latin")):
        call_command("migrate", verbosity=0)
        task = Queue("lane").task(name="test.letters")(lambda text: None)
        task.enqueue("façade")
        with pytest.raises(InvalidArguments, match="its encoding must be UTF-8"):
            task.enqueue("\N{ROCKET}")
        with pytest.raises(CannotStart, match="encoded in LATIN1"):
            check_database(ProcessRecord(clock.new_id(), "supervisor", "", "here", 1))


def test_a_new_job_has_the_ids_and_times_that_were_given(hands, broker):
    job = NewJob(
        id=clock.new_id(), queue="lane", task="app.task", message='{"args":["\\u0000"]}', priority=3,
        about=("leads.Lead", "7"), event="lead.created", event_id=clock.new_id(), parent_id=clock.new_id(),
    )  # fmt: skip
    hands.push_all([job])
    claimed = hands.claim_one()
    assert (claimed.event_id, claimed.about, claimed.message) == (job.event_id, job.about, job.message)
    assert Job.objects.get().parent_id == job.parent_id
