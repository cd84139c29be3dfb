"""Personal arguments: masked for everybody, shown on request to who may see them, and that is noted."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from config import roles
from jobs import Queue
from jobs.models import Job
from tests.leads.people import make_organization

from .conftest import MakeClient, MakeJob, address

lane = Queue("personal_lane")
PERMISSION = "view_personal_arguments"


@lane.task(name="personal.tell", personal=("message",))
def tell(lead_id: int, message: str, note: str = "") -> None: ...


@pytest.fixture
def job(make_job: MakeJob) -> Job:
    text = "call Ada <b>Lovelace</b> \u202e"
    arguments = {"lead_id": 7, "message": text, "note": f"again: {text}"}
    message = json.dumps({"v": 1, "args": [], "kwargs": arguments})
    return make_job(queue=lane.name, task="personal.tell", message=message)


def copied(page: str) -> Any:
    return json.loads(html.unescape(re.search(r'data-copy-text="([^"]*)"', page)[1]))  # type: ignore[index]


def test_who_may_see_them_presses_a_button_and_that_stands_in_the_log(client_with: MakeClient, job: Job) -> None:
    client = client_with("view_job", PERMISSION)
    page = client.get(address(job.pk)).content.decode()
    assert "Lovelace" not in page
    assert "Show personal data" in page
    assert not LogEntry.objects.exists()
    response = client.post(address(job.pk, "personal"))
    shown = response.content.decode()
    assert "call Ada &lt;b&gt;Lovelace&lt;/b&gt; \\u202e" in shown
    assert "<b>" not in shown.partition('id="job-arguments-title"')[2].partition("</section>")[0]
    assert "no-store" in response.headers["Cache-Control"]
    assert copied(shown)["message"].startswith("call Ada")
    line = LogEntry.objects.get()
    assert line.object_id == str(job.pk)
    assert line.get_change_message() == "Looked at its personal data: message."
    assert "Looked at its personal data: message." in shown
    # and never by itself
    assert "data-live-done" in shown
    assert "Lovelace" not in client.get(address(job.pk)).content.decode()
    assert "Lovelace" not in client.get(address(job.pk, "live")).content.decode()


def test_without_the_permission_nobody_is_offered_or_gets_them(client_with: MakeClient, job: Job) -> None:
    for others in (("view_job",), ("view_job", "edit_job", "edit_personal_arguments"), (PERMISSION,)):
        client = client_with(*others)
        assert "Show personal data" not in client.get(address(job.pk)).content.decode()
        response = client.post(address(job.pk, "personal"))
        assert response.status_code == 403 or others == (PERMISSION,)
        assert "Lovelace" not in response.content.decode()
    assert not LogEntry.objects.exists()


def test_it_takes_a_post_with_a_csrf_token(client_with: MakeClient, job: Job) -> None:
    client = client_with("view_job", PERMISSION, enforce_csrf_checks=True)
    assert client.get(address(job.pk, "personal")).status_code == 405
    assert client.post(address(job.pk, "personal")).status_code == 403
    assert not LogEntry.objects.exists()


def test_others_organizations_jobs_are_not_there(client_with: MakeClient, job: Job) -> None:
    acme = make_organization("acme")
    client = client_with("view_job", PERMISSION, member_of=acme)
    assert client.post(address(job.pk, "personal")).status_code == 404
    Job.objects.filter(pk=job.pk).update(scope=str(acme.pk))
    assert "Lovelace" in client.post(address(job.pk, "personal")).content.decode()


def test_no_role_has_it() -> None:
    assert not [name for name, given in roles.ROLES.items() if f"jobs.{PERMISSION}" in given]


def test_the_copied_arguments_are_masked_as_the_shown_ones(viewer: Client, job: Job) -> None:
    found = copied(viewer.get(address(job.pk)).content.decode())
    assert found["lead_id"] == 7
    assert found["message"] == "***"
    assert "Lovelace" not in found["note"]


def test_a_job_without_personal_data_has_no_button(client_with: MakeClient, make_job: MakeJob) -> None:
    page = client_with("view_job", PERMISSION).get(address(make_job().pk)).content.decode()
    assert "Show personal data" not in page
