"""The page of the processes: what it tells of each on each broker, who may see it, and who may pause a worker."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization
from jobs import Queue, clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.models import Process
from tests.each_broker import each_broker as each_broker

from .conftest import LIST, MakeClient

PAGE = f"{LIST}workers/"
lane = Queue("workers_page_lane")


@lane.task(name="workers.work")
def work() -> None: ...


def text(client: Client) -> str:
    response = client.get(PAGE)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_told_with_what_it_runs_and_paused_by_its_button(
    each_broker: str, client_with: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = get_broker()
    worker = ProcessRecord(clock.new_id(), "worker", lane.name, "<b>host", 4_711, 3)
    keeper = ProcessRecord(clock.new_id(), "keeper", "", "here", 12, 0)
    for process in (worker, keeper):
        broker.register(process, 600)
    work.enqueue_many([()] * 3)
    first, second = broker.exchange(worker.id, lane.policy, [], 2, number=1).jobs
    viewer = client_with("view_job")
    page = text(viewer)
    assert "&lt;b&gt;host:4711" in page
    assert "<b>host" not in page
    assert "here:12" in page
    assert "2 / 3" in page
    for job in (first, second):
        assert f"/admin/jobs/job/{job.id}/change/" in page
    button = f"{LIST}workers/{worker.id}/pause/"
    assert button not in page
    operator = client_with("view_job", "pause_queue")
    assert button in text(operator)
    operator.post(button)
    assert f"{LIST}workers/{worker.id}/resume/" in text(operator)
    assert viewer.post(button).status_code == 403


def test_one_whose_lease_has_ended_is_called_dead_and_a_silent_one_stands_out(client_with: MakeClient) -> None:
    now = clock.now()
    values = {"kind": "worker", "queue": lane.name, "started_at": now, "renewed_at": now}
    Process.objects.create(id=clock.new_id(), host="gone", pid=1, lease_until=now, **values)
    Process.objects.create(
        id=clock.new_id(), host="ill", pid=2, lease_until=now.replace(year=now.year + 1), trouble="<script>", **values
    )
    page = text(client_with("view_job", "pause_queue"))
    assert "dead: its jobs are given back" in page
    assert "in trouble" in page
    assert "&lt;script&gt;" in page
    assert page.count("/pause/") == 1


def test_it_needs_no_more_queries_for_many_and_says_what_will_be_there(client_with: MakeClient) -> None:
    client, now = client_with("view_job"), clock.now()
    assert "No process is alive" in text(client)
    counted = []
    for number in (1, 300):
        Process.objects.bulk_create(
            Process(
                **{"id": clock.new_id(), "kind": "worker", "queue": lane.name, "host": "h", "pid": pid},
                **{"started_at": now, "renewed_at": now, "lease_until": now.replace(year=now.year + 1)},
            )
            for pid in range(number)
        )
        with CaptureQueriesContext(connection) as queries:
            page = text(client)
        counted.append(len(queries))
    assert counted[0] == counted[1] < 20
    assert "101 more processes are not shown" in page


def test_a_member_of_one_organization_sees_nothing_of_it(client_with: MakeClient, no_roles: None) -> None:
    organization = Organization.objects.create(name="Acme", slug="acme")
    assert client_with("view_job", member_of=organization).get(PAGE).status_code == 403
    assert client_with("view_attempt").get(PAGE).status_code == 403
