"""A job's page follows the job: 304 as long as nothing has changed, and over when the job has ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs import Queue, clock, current_job
from jobs.models import Job, JobProgress, LogPart, StackRequest
from jobs.operate.cancel import cancel
from jobs.testing import run_jobs
from tests.each_broker import claim
from tests.each_broker import each_broker as each_broker
from tests.leads.people import make_organization

from .conftest import MakeClient, MakeJob, address

lane = Queue("live_lane")


@lane.task(name="live.tell")
def tell() -> None:
    current_job().log("a line <b>of it</b>")


def look(client: Client, job: Any, tag: str = "") -> Any:
    return client.get(address(job, "live"), headers={"If-None-Match": tag} if tag else {})


def test_the_page_and_its_inside_have_the_same_tag_and_nothing_new_is_304(
    each_broker: str, client_with: MakeClient
) -> None:
    viewer = client_with("view_job")
    handle = tell.enqueue()
    claim(lane.name)
    page = viewer.get(address(handle.id)).content.decode()
    assert f'data-live="{address(handle.id, "live")}"' in page
    assert "jobs/live.js" in page
    tag = look(viewer, handle.id).headers["ETag"]
    assert re.search(r'data-live-tag="&quot;[0-9a-f]{32}&quot;"', page)
    again = look(viewer, handle.id, tag)
    assert (again.status_code, again.content) == (304, b"")
    assert "private" in again.headers["Cache-Control"]
    assert "no-store" in again.headers["Cache-Control"]
    cancel(handle.id)
    assert look(viewer, handle.id, tag).status_code == 200


CHANGES: dict[str, Callable[[Job], object]] = {
    "progress": lambda job: JobProgress.objects.create(
        job_id=job.pk, queue=job.queue, told_by=clock.now(), done=1, total=3, text="", at=clock.now()
    ),
    "log": lambda job: LogPart.objects.create(
        job_id=job.pk, queue=job.queue, run=1, start=1, attempt=1, first=1, lines='[[1, "x"]]'
    ),
    "attempt": lambda job: job.timeline.create(outcome="lost", ended_at=clock.now()),
    "cancel": lambda job: Job.objects.filter(pk=job.pk).update(cancel_requested=True),
    "end": lambda job: Job.objects.filter(pk=job.pk).update(state="completed", ended_at=clock.now()),
    "stack": lambda job: StackRequest.objects.create(job_id=job.pk, worker_id=clock.new_id(), asked_at=clock.now()),
    "child": lambda job: Job.objects.create(
        parent_id=job.pk,
        queue="x",
        task="x",
        state="queued",
        message="{}",
        created_at=clock.now(),
        ready_at=clock.now(),
    ),
    "time": lambda job: Job.objects.filter(pk=job.pk).update(started_at=clock.now() - timedelta(minutes=9)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_thing_that_the_page_shows_makes_another_tag(viewer: Client, make_job: MakeJob, change: str) -> None:
    job = make_job(state="active", started_at=clock.now() - timedelta(minutes=5, seconds=10))
    tag = look(viewer, job.pk).headers["ETag"]
    assert look(viewer, job.pk, tag).status_code == 304
    CHANGES[change](job)
    changed = look(viewer, job.pk, tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_it_stops_when_the_job_has_ended(viewer: Client) -> None:
    handle = tell.enqueue()
    before = look(viewer, handle.id).content.decode()
    assert "data-live-done" not in before
    run_jobs()
    after = look(viewer, handle.id).content.decode()
    assert "data-live-done" in after
    assert "a line &lt;b&gt;of it&lt;/b&gt;" in after
    assert after.strip().startswith('<div id="job-body"')
    page = viewer.get(address(handle.id)).content.decode()
    assert "jobs/live.js" not in page


def test_who_may_not_see_it_gets_none_of_it(client_with: MakeClient, make_job: MakeJob) -> None:
    job = make_job(scope="another")
    assert look(client_with("retry_job"), job.pk).status_code == 403
    member = client_with("view_job", member_of=make_organization("acme"))
    assert look(member, job.pk).status_code == 404
    assert Client().get(address(job.pk, "live")).status_code == 302
    viewer = client_with("view_job")
    assert look(viewer, clock.new_id()).status_code == 404
    assert viewer.post(address(job.pk, "live")).status_code == 405


def test_a_304_costs_few_queries(viewer: Client, make_job: MakeJob) -> None:
    job = make_job(state="active", started_at=clock.now() - timedelta(minutes=5, seconds=10))
    tag = look(viewer, job.pk).headers["ETag"]
    with CaptureQueriesContext(connection) as queries:
        assert look(viewer, job.pk, tag).status_code == 304
    assert len(queries) <= 14
