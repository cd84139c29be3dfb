"""One job waits for very many: what the end of each costs does not grow with how many there are."""

from __future__ import annotations

import json
import re
import socket
import time
import tracemalloc
from itertools import count
from typing import Any

import pytest

from jobs import JobHandle, Queue, clock, current_job
from jobs.broker.database.statements import load_statements
from jobs.broker.records import ProcessRecord, Settlement
from jobs.models import Edge, Job
from jobs.work.execution import execute
from tests.databases import statistics_of_jobs

from .conftest import Flow

lane = Queue("flow_many", attempts=1, keep_completed=0)
seen: list[int] = []


@lane.task(name="flow.child")
def child(number: int) -> int:
    return number


@lane.task(name="flow.parent")
def parent() -> int:
    seen.append(sum(one.result for one in current_job().after))
    return seen[-1]


@pytest.mark.slow
@pytest.mark.long
def test_job_waits_for_ten_thousand(flow: Flow) -> None:
    number = 10_000
    seen.clear()
    tracemalloc.start()
    try:
        began = time.monotonic()
        parent.using(after=[child.bind(n) for n in range(number)]).enqueue()
        enqueued, (_now, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    costs = _run(flow, number + 1)
    print(f"enqueued in {enqueued:.1f} s (traced), {peak / 1e6:.0f} MB at most; run in {sum(costs):.1f} s")
    assert peak < 100e6
    # 30 on a quiet machine and without the trace
    assert enqueued < 120
    assert seen == [sum(range(number))]
    assert not Job.objects.filter(state="blocked").exists()
    assert not Edge.objects.filter(state="").exists()


def _run(flow: Flow, number: int) -> list[float]:
    """Run so many jobs, a hundred at a time; returns the seconds of each hundred."""
    broker, worker, numbers = flow.bench.broker, clock.new_id(), count(1)
    broker.register(ProcessRecord(worker, "worker", lane.name, socket.gethostname(), 1, 100), 600)
    costs: list[float] = []
    settlements: list[Settlement] = []
    done = 0
    while done < number:
        began = time.monotonic()
        claimed = broker.exchange(worker, lane.policy, settlements, 100, number=next(numbers)).jobs
        settlements = [one for job in claimed if (one := execute(job, lane, worker)) is not None]
        done += len(claimed)
        if not claimed:
            flow.keep()
        costs.append(time.monotonic() - began)
    assert not broker.exchange(worker, lane.policy, settlements, 1, number=next(numbers)).jobs
    flow.keep()
    return costs


#: By which of its indexes each table is entered in the statements that decide.
IN_POSTGRESQL = {
    "read_ended_awaited": {"jobs_awaited"},
    "read_waiting_jobs": {"jobs_edge_awaited", "jobs_job_pkey"},
    "close_edges": {"jobs_edge_awaited", "jobs_job_pkey"},
    "note_awaited": {"jobs_job_pkey"},
    "read_failed_waits": {"jobs_edge_states", "jobs_job_pkey"},
    "start_blocked": {"jobs_edge_states", "jobs_job_pkey", "jobs_sequence"},
}
IN_SQLITE = {
    "read_ended_awaited": {"jobs_awaited (state=?)"},
    "read_waiting_jobs": {"jobs_edge_awaited (awaited_id=?)"},
    "close_edges": {"jobs_edge_awaited (awaited_id=?)", "sqlite_autoindex_jobs_job_1 (id=?)"},
    "note_awaited": {"sqlite_autoindex_jobs_job_1 (id=?)"},
    "read_failed_waits": {"jobs_state (state=? AND id=?)", "jobs_edge_states (waiting_id=? AND state=?)"},
    "start_blocked": {
        "jobs_state (state=? AND id=?)",
        "jobs_edge_states (waiting_id=? AND state=?)",
        "jobs_sequence (queue=? AND sequence=? AND place<?)",
    },
}


@pytest.mark.rows
def test_decisions_read_no_more_than_they_decide(flow: Flow) -> None:
    """In tables that nobody has analyzed, where a planner takes them for small."""
    waiting: list[JobHandle] = []
    with statistics_of_jobs("nothing", lambda: waiting.append(_parent_of(300))):
        some = [id.hex for id in Job.objects.filter(task="flow.child").values_list("pk", flat=True)[:10]]
        with flow.bench.broker._database.write() as trip:  # type: ignore[attr-defined]
            for statement in IN_SQLITE:
                of_waiting = statement in ("read_failed_waits", "start_blocked")
                ids = json.dumps([waiting[0].id.hex] if of_waiting else some)
                plan = _plan_on_sqlite if trip._vendor == "sqlite" else _plan_on_postgresql
                plan(trip, statement, ids)


def _parent_of(number: int) -> JobHandle:
    return parent.using(after=[child.bind(n) for n in range(number)]).enqueue()


def _plan_on_sqlite(trip: Any, statement: str, ids: str) -> None:
    params = {"ids": ids, "awaited": True, "straight": True, "now": trip.text_now}
    trip._cursor.execute(f"EXPLAIN QUERY PLAN {load_statements('sqlite')[statement]}", params)
    plan = [row[3] for row in trip._cursor.fetchall() if re.match("SEARCH|SCAN", row[3])]
    entered = {line.partition("INDEX ")[2] or line for line in plan if "json_each" not in line}
    assert entered == IN_SQLITE[statement], plan


def _plan_on_postgresql(trip: Any, statement: str, ids: str) -> None:
    text = load_statements("postgresql")[statement]
    for name, value in (("ids", "$1"), ("awaited", "true"), ("straight", "true")):
        text = text.replace(f"%({name})s", value)
    # prepared, as it is where a worker asks
    trip._cursor.execute(f"PREPARE decides(text) AS {text}")
    trip._cursor.execute(f"EXPLAIN (ANALYZE) EXECUTE decides('{ids}')")
    plan = [line for (line,) in trip._cursor.fetchall()]
    trip._cursor.execute("DEALLOCATE decides")
    entered = set(re.findall(r"Index (?:Only )?Scan using (\w+)", "\n".join(plan)))
    # while a table is small, the ids are found as quickly in the smaller index that ends in them
    assert {"jobs_job_pkey" if name == "jobs_state" else name for name in entered} == IN_POSTGRESQL[statement], plan
    assert not [line for line in plan if "Rows Removed" in line], plan
