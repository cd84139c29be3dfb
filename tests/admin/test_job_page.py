"""A job's page: the verdict first, readable and masked arguments, the trail to event, object, parent and children."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from jobs import Queue, clock
from jobs.admin.tracebacks import place
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.models import Job
from jobs.testing import run_jobs

from .conftest import MakeClient, MakeJob, address

lane = Queue("page_lane", attempts=3)


@lane.task(name="page.tell", personal=("message",))
def tell(lead_id: int, message: str = "", **more: str) -> dict[str, int]:
    return {"lead": lead_id}


@lane.task(name="page.fail")
def fail() -> None:
    raise ValueError("<script>alert('error')</script>")


def page_of(client: Client, job: Job) -> str:
    response = client.get(address(job.pk))
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_the_page_of_a_completed_job_shows_arguments_result_and_attempt(viewer: Client) -> None:
    handle = tell.enqueue(7)
    run_jobs()
    page = page_of(viewer, handle.job)
    assert "Completed in" in page
    assert '<th scope="row">lead_id</th><td><pre>7</pre></td>' in page
    assert "&quot;lead&quot;: 7" in page
    assert "</svg>completed</span> <span class=" in page


def test_personal_arguments_are_masked_whichever_way_they_were_given(viewer: Client) -> None:
    for handle in (tell.enqueue(7, "call Ada on 0151"), tell.enqueue(7, message="call Ada on 0151")):
        page = page_of(viewer, handle.job)
        assert "masked: personal data" in page
        assert "Ada" not in page


def test_nothing_positional_is_shown_of_a_personal_task_whose_signature_changed(
    viewer: Client, make_job: MakeJob
) -> None:
    message = '{"v": 1, "args": [7, "call Ada", 3, 4], "kwargs": {"message": "Ada again", "note": "plain"}}'
    page = page_of(viewer, make_job(queue=lane.name, task="page.tell", message=message))
    assert "Ada" not in page
    assert "plain" in page


def test_the_arguments_of_a_task_that_no_code_knows_are_shown(viewer: Client, make_job: MakeJob) -> None:
    message = '{"v": 1, "args": ["first"], "kwargs": {"name": "second"}}'
    page = page_of(viewer, make_job(task="gone.task", message=message))
    assert "first" in page
    assert "second" in page


def test_hostile_texts_are_escaped_everywhere_on_the_page(viewer: Client, make_job: MakeJob) -> None:
    handle = fail.enqueue()
    run_jobs(include_scheduled=True)
    evil = "<script>alert(1)</script>"
    Job.objects.filter(pk=handle.id).update(
        about_type=evil, about_id=evil, event=evil, event_id=uuid4(), key=evil, reason=evil
    )
    Job.objects.filter(pk=handle.id).update(message=f'{{"v": 1, "args": ["{evil}"], "kwargs": {{"{evil}": 1}}}}')
    make_job(parent_id=handle.id, task=evil)
    page = page_of(viewer, handle.job)
    assert "&lt;script&gt;alert(&#x27;error&#x27;)" in page
    assert "<script>alert" not in page


def test_a_failed_attempt_shows_its_traceback_folded_under_the_projects_own_frame(viewer: Client) -> None:
    handle = fail.enqueue()
    run_jobs()
    page = page_of(viewer, handle.job)
    assert re.search(r'<details class="job-trace" id="trace-\d+" open> <summary>admin/test_job_page.py:', page)
    assert "in fail</summary>" in page
    assert "Traceback (most recent call last)" in page


def test_the_projects_innermost_frame_is_named_before_a_librarys() -> None:
    trace = (
        'Traceback (most recent call last):\n  File "/srv/leads/tasks.py", line 3, in sync\n    x()\n'
        '  File "/srv/.venv/lib/python3.12/site-packages/requests/api.py", line 9, in get\n    y()\n'
    )
    assert place(trace) == "leads/tasks.py:3 in sync"
    assert place(trace.replace("/srv/leads", "/lib/python3.12")) == "requests/api.py:9 in get"
    assert place("") == ""


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"state": "pending"}, "on its way to the broker"),
        ({"state": "queued", "ready_at": timedelta(hours=2, seconds=9)}, "Scheduled: starts in 2 hours."),
        ({"state": "queued", "ready_at": timedelta(minutes=-4)}, "Waiting for 4 minutes."),
        ({"state": "queued", "ready_at": timedelta(seconds=30), "attempts": 1}, "Attempt 1 of 3 failed. The next one"),
        ({"state": "queued", "unknown_since": timedelta(0), "reason": "task gone"}, "No worker understands this job"),
        ({"state": "active", "attempts": 1}, "attempt 2 of 3. Its worker is silent"),
        ({"state": "active", "cancel_requested": True}, "asked to cancel"),
        ({"state": "failed", "attempts": 3}, "Dead letter after 3 attempts. It waits for a person"),
        ({"state": "cancelled", "reason": "duplicate of x"}, "Cancelled (duplicate of x)."),
        ({"state": "expired"}, "its time had passed"),
    ],
)
def test_the_verdict_says_what_happens_next(
    viewer: Client, make_job: MakeJob, fields: dict[str, object], sentence: str
) -> None:
    now = clock.now()
    fields = {name: now + value if isinstance(value, timedelta) else value for name, value in fields.items()}
    assert sentence in page_of(viewer, make_job(queue=lane.name, task="page.fail", **fields))


def test_the_verdict_of_a_waiting_job_names_what_holds_it_up(viewer: Client, make_job: MakeJob) -> None:
    job = make_job(queue=lane.name, state="queued")
    assert f"nobody works the queue {lane.name}" in page_of(viewer, job)
    get_broker().register(ProcessRecord(clock.new_id(), "worker", lane.name, "here", 1, 1), 30)
    assert "nobody works" not in page_of(viewer, job)
    get_broker().pause(lane.name)
    assert f"the queue {lane.name} is paused" in page_of(viewer, job)


def test_the_trail_leads_to_event_object_parent_and_children(client_with: MakeClient, make_job: MakeJob) -> None:
    group, event = Group.objects.create(name="sales"), uuid4()
    parent, job = make_job(task="test.parent"), make_job()
    Job.objects.filter(pk=job.pk).update(
        parent_id=parent.pk, event="LeadCreated", event_id=event, about_type="auth.group", about_id=str(group.pk)
    )
    child = make_job(task="test.child", parent_id=job.pk)
    client = client_with("view_job")
    page = page_of(client, job)
    assert f'href="/admin/jobs/job/events/{event}/"' in page
    assert f'href="/admin/jobs/job/{parent.pk}/change/"' in page
    assert f'href="/admin/jobs/job/{child.pk}/change/"' in page
    assert f"auth.group:{group.pk}" in page
    assert "sales" not in page  # the reader may not see groups
    user = User.objects.get()
    user.user_permissions.add(Permission.objects.get(codename="view_group"))
    assert f'<a href="/admin/auth/group/{group.pk}/change/">group: sales</a>' in page_of(client, job)


def test_an_object_or_parent_that_is_gone_is_shown_without_a_link(admin_client: Client, make_job: MakeJob) -> None:
    gone = uuid4()
    for label, key in (("auth.group", "99"), ("auth.group", "no number"), ("gone.model", "1"), ("nonsense", "1")):
        page = page_of(admin_client, make_job(about_type=label, about_id=key, parent_id=gone))
        assert f"{label}:{key}" in page
        assert f"<code>{gone}</code>" in page


def test_a_job_that_is_not_there_leads_back_to_the_list(viewer: Client) -> None:
    response = viewer.get(address(uuid4()), follow=True)
    assert response.redirect_chain == [("/admin/jobs/job/", 302)]
    assert "retention may have removed it" in response.content.decode()
    assert viewer.get("/admin/jobs/job/nonsense/change/").status_code == 302


def test_the_page_needs_the_view_permission(client_with: MakeClient, make_job: MakeJob) -> None:
    assert client_with("retry_job").get(address(make_job().pk)).status_code == 403


def test_the_page_writes_nothing_and_takes_no_write_lock(viewer: Client, make_job: MakeJob) -> None:
    job = make_job(state="queued")
    with CaptureQueriesContext(connection) as queries:
        viewer.get(address(job.pk))
    assert not [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE", "BEGIN", "SAVEPOINT"))]
    assert len(queries) <= 38


def test_the_page_of_a_job_with_many_children_and_attempts_is_bounded(viewer: Client, make_job: MakeJob) -> None:
    job = make_job()
    for _ in range(60):
        make_job(parent_id=job.pk, task="test.child")
        job.timeline.create(outcome="lost", ended_at=clock.now())
    page = page_of(viewer, job)
    trail = page.partition('id="job-trail-title"')[2].partition("</section>")[0]
    assert trail.count("test.child") == 50
    assert f"?parent_id={job.pk}" in page
