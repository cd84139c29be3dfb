"""A job's page draws the flow that the job belongs to, bounded, and says it in a nested list; no jobs of others."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs import Batch, Queue, chain, clock
from jobs.admin.flow import drawn_flow
from jobs.history import flow_graph, lookup
from jobs.history.flow_graph import flow_of
from jobs.models import Batch as BatchRow
from jobs.models import Edge, Job, Member
from tests.leads.people import make_organization

from .conftest import MakeClient, MakeJob, address

lane = Queue("flow_lane")


@lane.task(name="flow.step")
def step(number: int) -> None: ...


@lane.task(name="flow.report")
def report() -> None: ...


def page_of(client: Client, job: Job) -> str:
    response = client.get(address(job.pk))
    assert response.status_code == 200
    page = " ".join(response.content.decode().split())
    return page.partition('class="panel job-flow"')[2].partition("</section>")[0]


def after(waiting: Job, *awaited: Job) -> None:
    for position, one in enumerate(awaited):
        Edge.objects.create(waiting_id=waiting.pk, position=position, awaited_id=one.pk)


def test_a_job_without_others_has_no_graph(viewer: Client, make_job: MakeJob) -> None:
    assert page_of(viewer, make_job()) == ""


@pytest.mark.django_db(transaction=True)
def test_a_chain_is_drawn_from_left_to_right_with_the_job_marked(viewer: Client) -> None:
    chain(step.bind(1), step.bind(2), report.bind()).enqueue()
    jobs = list(Job.objects.order_by("pk"))
    flow = page_of(viewer, jobs[1])
    places = {}
    for job in jobs:
        part = flow[flow.index(f'<a href="{address(job.pk)}" tabindex="-1">') :]
        places[job.pk] = int(re.search(r' x="(\d+)"', part)[1])  # type: ignore[index]
        assert ("flow-node-current" in part.partition("</a>")[0]) is (job.pk == jobs[1].pk)
    assert places[jobs[0].pk] < places[jobs[1].pk] < places[jobs[2].pk]
    assert flow.count('class="flow-line flow-after"') == 2
    assert flow.count("state-blocked") == 2
    assert "<strong>this job</strong>" in flow


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_a_box_of_its_own_with_what_follows_it(viewer: Client) -> None:
    with Batch("import <b>42</b>", on_complete=report.bind()) as batch:
        batch.add_many([step.bind(number) for number in range(40)])
    job = Job.objects.filter(task="flow.step").latest("pk")
    flow = page_of(viewer, job)
    assert "import &lt;b&gt;42&lt;/b&gt;" in flow
    assert "<b>" not in flow
    assert "flow.report" in flow
    assert flow.count("<text") <= 2 * (12 + 2)
    assert "flow-node-current" in flow
    assert f'<a href="/admin/jobs/batch/{batch.id}/change/">and 28 more jobs of the batch</a>' in flow


def test_what_ended_and_is_not_kept_stands_there_by_its_id(viewer: Client, make_job: MakeJob) -> None:
    job, gone = make_job(), clock.new_id()
    Edge.objects.create(waiting_id=job.pk, position=0, awaited_id=gone, state="failed")
    flow = page_of(viewer, job)
    assert f"…{str(gone)[-8:]}" in flow
    assert "flow-node-gone" in flow
    assert f"{gone}/change" not in flow


def test_the_graph_is_bounded_in_boxes_and_queries(viewer: Client, make_job: MakeJob) -> None:
    root = make_job()
    fan = [make_job(task=f"test.{number}") for number in range(50)]
    for one in fan:
        after(one, root)
        after(make_job(), one, *(make_job() for _ in range(5)))
    page_of(viewer, root)
    with CaptureQueriesContext(connection) as queries:
        graph = flow_of(root, lookup.all_jobs())
    assert len(graph) <= flow_graph.MOST
    assert graph.hidden > 30
    assert len(queries) < 30
    assert f"and {graph.hidden} more jobs next to these" in page_of(viewer, root)


def test_a_long_chain_ends_in_sight_and_says_so(viewer: Client, make_job: MakeJob) -> None:
    jobs = [make_job() for _ in range(100)]
    for earlier, later in zip(jobs, jobs[1:], strict=False):
        after(later, earlier)
    graph = flow_of(jobs[50], lookup.all_jobs())
    assert len(graph) == 2 * flow_graph.REACH + 1
    assert "further away" in page_of(viewer, jobs[50])


def test_jobs_that_wait_for_each_other_are_drawn_all_the_same(viewer: Client, make_job: MakeJob) -> None:
    one, two = make_job(), make_job()
    after(one, two)
    after(two, one)
    Job.objects.filter(pk=one.pk).update(parent_id=two.pk)
    flow = page_of(viewer, one)
    assert flow.count("<text x=") == 2
    drawn = drawn_flow(flow_of(one, lookup.all_jobs()), one, "admin", names_batches=True, now=clock.now())
    assert drawn is not None
    assert len(re.findall("<li>", drawn.outline)) == 2


def test_a_member_sees_no_other_organizations_jobs_nor_what_a_batch_of_them_is_called(
    client_with: MakeClient, make_job: MakeJob
) -> None:
    acme = make_organization("acme")
    own, foreign, below = (
        make_job(scope=scope, task=f"test.of_{scope[:5]}") for scope in (str(acme.pk), "other", "other")
    )
    after(own, foreign)
    after(below, own)
    Job.objects.filter(pk=own.pk).update(parent_id=foreign.pk)
    batch = BatchRow.objects.create(name="secret import", created_at=clock.now())
    for job in (own, foreign, *(make_job(scope="other", task="test.of_other") for _ in range(20))):
        Member.objects.create(batch_id=batch.pk, job_id=job.pk)
    flow = page_of(client_with("view_job", member_of=acme), own)
    assert "batch" in flow
    assert "secret" not in flow
    assert "of_other" not in flow
    assert "more jobs of the batch" not in flow
    assert flow.count("<text x=") == 2
    assert "secret import" in page_of(client_with("view_job"), own)


def test_a_member_is_not_told_how_many_jobs_of_others_stand_beside_the_own(
    client_with: MakeClient, make_job: MakeJob
) -> None:
    acme = make_organization("acme")
    own, child = make_job(scope=str(acme.pk)), make_job(scope=str(acme.pk))
    after(child, own)
    for _ in range(flow_graph.FAN + 5):
        after(make_job(scope="other"), own)
    assert "more jobs next to these" in page_of(client_with("view_job"), own)
    assert "more jobs next to these" not in page_of(client_with("view_job", member_of=acme), own)


def test_hostile_names_are_escaped(viewer: Client, make_job: MakeJob) -> None:
    evil = "<script>alert(1)</script>"
    one, two = make_job(task=evil), make_job(task=evil)
    after(one, two)
    assert "<script>" not in page_of(viewer, one)
