"""PgBouncer in transaction mode between the engine and PostgreSQL. `tests/contract` runs over one as well (slow)."""

import logging

import pytest
from django.db import connection

from jobs.broker.database.broker import DatabaseBroker
from tests.contract.hands import Hands
from tests.databases import pooled_as_default, postgresql_as_default

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(transactional_db):
    with pooled_as_default():
        broker = DatabaseBroker("default")
        yield broker
        broker.close()
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE jobs_attempt, jobs_job, jobs_queuestate, jobs_taskstat, jobs_process")


def test_that_no_hint_comes_through_a_pooler_is_noticed_and_said(broker, caplog):
    with caplog.at_level(logging.WARNING, "jobs.broker"):
        assert broker.wait_for_hint("lane", 1) is None
    assert "pooler" in caplog.text


def test_without_a_pooler_hints_come(transactional_db, caplog):
    with postgresql_as_default(), caplog.at_level(logging.WARNING, "jobs.broker"):
        broker = DatabaseBroker("default")
        assert broker.wait_for_hint("lane", 1) is True
        broker.close()
    assert "pooler" not in caplog.text


def test_nothing_is_prepared_and_no_strangers_session_is_changed(broker, caplog):
    with caplog.at_level(logging.WARNING, "jobs.broker"):
        hands = Hands(broker)
        job_id = hands.push()
        assert hands.claim_ids() == [job_id]
    assert "pooler_found" in caplog.text
    assert broker._database._own.prepare_threshold is None
    with connection.cursor() as cursor:
        # whoever comes by way of the pooler gets a session that we used
        cursor.execute("SELECT setting = reset_val FROM pg_settings WHERE name = 'enable_seqscan'")
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (0,)
