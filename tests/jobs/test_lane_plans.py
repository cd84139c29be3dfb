"""A claim from a queue with groups stays quick: each of its looks goes by an index, and reads no more than it needs."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from jobs import clock
from jobs.broker.database import rows
from jobs.broker.database.statements import load_statements
from jobs.broker.database.values import text_of
from jobs.broker.records import NewJob
from jobs.history.plans import by_index
from jobs.models import Grant, GroupState, Job
from jobs.states import State

pytestmark = pytest.mark.django_db(transaction=True)

LANES, EACH = 300, 4
#: The statements of a claim by turns, and the index that each goes by.
GOES_BY = {
    "read_queue": "jobs_ready_laned",
    "read_heads": "jobs_ready_laned",
    "read_due_lanes": "jobs_ready_laned",
    "read_due_since": "jobs_ready_laned",
    "read_to_come": "jobs_ready_laned",
    "scan_lanes": "jobs_lanes",
    "read_lanes": "jobs_lanes",
    "read_bulk": "jobs_lanes",
    "count_lanes": "jobs_lanes",
    "read_plain": "jobs_ready",
    "read_alone_due": "jobs_ready_alone",
    "read_alone_lanes": "jobs_ready_alone",
}


def insert(*, analyze: bool = True) -> None:
    lanes = ["", *(f"g{number:03}" for number in range(LANES))]
    new = [
        NewJob(id=clock.new_id(), queue="lane", task="t", message="{}", priority=priority, group=lane, lane=lane)
        for lane in lanes
        for priority in (0, 20)
        for _ in range(EACH)
    ]
    rows.insert_rows(connection, new, State.QUEUED)
    Job.objects.filter(pk__in=[job.id for job in new[::7]]).update(state=State.COMPLETED)
    Job.objects.filter(pk__in=[job.id for job in new[1::70]]).update(state=State.ACTIVE)
    if analyze:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE jobs_job")


@contextmanager
def looking(vendor: str, statement: str) -> Iterator[str]:
    moment = clock.now()
    now = moment if vendor == "postgresql" else text_of(moment)
    values = {
        **{"queue": "lane", "priority": 20, "now": now, "since": now, "after": "g100", "most": 10},
        **{"lane": "g100", "lanes": json.dumps(["g100", "g200"])},
    }
    explain = "EXPLAIN " if vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with by_index("default"), connection.cursor() as cursor:
        cursor.execute(explain + load_statements(vendor)[statement], values)
        yield "\n".join(str(row[-1]) for row in cursor.fetchall())


def test_every_look_of_a_claim_by_turns_goes_by_its_index(each_database):
    insert()
    for statement, index in GOES_BY.items():
        with looking(each_database, statement) as plan:
            assert index in plan, f"{statement}\n{plan}"
            assert "Seq Scan on jobs_job" not in plan, f"{statement}\n{plan}"
            assert "jobs_queue_state" not in plan, f"{statement}\n{plan}"


@pytest.mark.sqlite
def test_sqlite_seeks_the_lane_that_a_look_names():
    # by any other term it reads all lanes before that one: hundreds of times as long
    for statement, term in {
        "scan_lanes": "lane>?",
        "read_lanes": "lane=? AND ready_at<?",
        "count_lanes": "lane=? AND ready_at>?",
    }.items():
        with looking("sqlite", statement) as plan:
            searches = [line for line in plan.splitlines() if "jobs_lanes" in line]
            assert searches
            assert any(term in line for line in searches), plan
            assert all("lane" in line.partition("(")[2] for line in searches), plan


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statement", ["read_group_states", "read_group_grants"])
def test_what_holds_for_many_groups_is_read_group_by_group_without_statistics(each_database, statement):
    names = [f"g{number:03}" for number in range(LANES)]
    GroupState.objects.bulk_create(GroupState(queue="lane", name=name, paused=True) for name in names)
    made = {"queue": "lane", "number": 1, "granted_at": clock.now(), "start_by": clock.now()}
    Grant.objects.bulk_create(Grant(subject=f"g{name}", **made) for name in names)
    values = {
        **{"queue": "lane", "names": json.dumps(names), "subjects": json.dumps([f"g{name}" for name in names])},
        "since": clock.now() - timedelta(seconds=60),
    }
    plan = run(statement, values)
    assert f"rows={LANES} " in plan
    assert rows_removed(plan) < LANES, plan


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_jobs_are_put_aside_by_their_ids_where_the_planner_takes_few_for_granted(each_database):
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")
    insert(analyze=False)
    waiting = Job.objects.filter(state=State.QUEUED).values_list("id", flat=True)[:LANES]
    plan = run("put_aside", {"ids": json.dumps([id.hex for id in waiting]), "lane": "\x1etag"})
    assert f"rows={LANES} " in plan
    assert rows_removed(plan) < LANES, plan


def run(statement: str, values: dict[str, Any]) -> str:
    """Run a statement as a claim does; returns its plan."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(load_statements("postgresql")["go_by_indexes"])
        cursor.execute("EXPLAIN (ANALYZE, TIMING OFF) " + load_statements("postgresql")[statement], values)
        return "\n".join(line for (line,) in cursor.fetchall())


def rows_removed(plan: str) -> int:
    """How many rows were read in vain."""
    return sum(map(int, re.findall(r"Rows Removed by [\w ]+: (\d+)", plan)))
