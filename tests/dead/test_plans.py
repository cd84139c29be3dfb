"""The list stays quick at any size: each look goes by the index of causes and stops at a cap."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import clock
from jobs.broker.database.statements import load_statements
from jobs.broker.database.values import text_of
from jobs.history import causes
from jobs.history.plans import by_index
from jobs.models import Job
from tests.dead.conftest import dead

CAUSES, EACH = 8, 100


def insert():
    for number in range(CAUSES):
        dead(EACH, cause=f"{number:016x}", error="x" * 500)
    dead(800, state="completed", cause="")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")


@pytest.fixture
def plans(each_database):
    """The plan of every look at the table, with what it was."""
    insert()
    with CaptureQueriesContext(connection) as queries:
        found = causes.dead_letters_by_cause()
    assert [one.count for one in found] == [EACH] * CAUSES
    explain = "EXPLAIN " if each_database == "postgresql" else "EXPLAIN QUERY PLAN "
    # what the ORM says is there with its values
    looks = [(query["sql"], None) for query in queries if 'FROM "jobs_job"' in query["sql"]]
    statements, now = load_statements(each_database), clock.now()
    values = {"cause": f"{1:016x}", "since": text_of(now - timedelta(days=1)), "now": text_of(now), "most": 10}
    looks.append((statements["count_hours_of_cause"], {**values, "scopes": None}))
    looks.append((statements["list_causes"], {"after": "", "most": 10}))
    told = []
    with by_index("default"), connection.cursor() as cursor:
        for look, params in looks:
            cursor.execute(explain + look, params)
            told.append((look, "\n".join(str(row[-1]) for row in cursor.fetchall())))
    return told


def test_every_look_goes_by_the_causes(plans):
    assert len(plans) >= CAUSES * 3 + 2
    for look, plan in plans:
        assert "jobs_dead_cause" in plan, f"{look}\n{plan}"
        assert "SCAN jobs_job" not in plan.replace("SCAN jobs_job USING", ""), f"{look}\n{plan}"
        assert "Seq Scan on jobs_job" not in plan, f"{look}\n{plan}"


def test_causes_cost_so_many_looks_however_many_dead_letters_there_are(each_database, django_assert_max_num_queries):
    insert()
    with django_assert_max_num_queries(CAUSES * 5 + 12):
        causes.dead_letters_by_cause()


def test_a_count_stops_at_its_cap(each_database, monkeypatch):
    monkeypatch.setattr(causes.lookup, "capped_count", lambda rows: causes.lookup.Capped(10, more=True))
    dead(11)
    (one,) = causes.dead_letters_by_cause()
    assert (one.count, one.more) == (10, True)
    assert sum(one.hours) == 11
    assert clock.now() >= one.last_at
    assert Job.objects.count() == 11
