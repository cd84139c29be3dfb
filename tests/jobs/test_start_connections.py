"""`run_huey` on PostgreSQL counts the connections that its workers can need."""

import logging

import psycopg
import pytest
from django.db import connection

from jobs.supervise.children import Post
from jobs.supervise.start import CannotStart, check_connections
from tests.databases import postgresql_as_default

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def allowed():
    with postgresql_as_default(), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('max_connections')::int")
        yield cursor.fetchone()[0]


def test_more_threads_than_the_server_has_connections_are_refused_with_a_remedy(allowed):
    with pytest.raises(CannotStart, match="max_connections"):
        check_connections([Post("worker", "email", 1, allowed), Post("keeper")])


def test_what_others_hold_is_only_warned_about(allowed, caplog):
    names = ("host", "port", "user", "dbname")
    address = {name: value for name, value in connection.get_connection_params().items() if name in names}
    reserved = 3
    with psycopg.connect(**address), caplog.at_level(logging.WARNING, "jobs.supervisor"):
        check_connections([Post("worker", "email", 1, allowed - reserved - 9), Post("keeper")])
    assert "few_connections" in caplog.text


def test_few_threads_start_in_silence(allowed, caplog):
    check_connections([Post("worker", "email", 1, 5), Post("keeper")])
    assert caplog.text == ""
