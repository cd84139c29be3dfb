"""What people see of jobs that wait."""

from __future__ import annotations

import json
import re
from io import StringIO

import pytest
from django.contrib.auth.models import AbstractUser
from django.core.management import call_command
from django.test import Client

from jobs import Fixed, JobHandle, Queue, chain

pytestmark = pytest.mark.django_db
lane = Queue("shown_lane", attempts=1, backoff=Fixed(0))


@lane.task(name="shown.step")
def step(number: int) -> int:
    return number


@pytest.fixture
def handles() -> list[JobHandle]:
    return chain(step.bind(1), step.bind(2), step.bind(3)).enqueue()


def page_of(client: Client, job: JobHandle) -> str:
    return client.get(f"/admin/jobs/job/{job.id}/change/").content.decode()


def test_page_of_a_job_links_what_it_waits_for_and_what_waits_for_it(
    admin_user: AbstractUser, client: Client, handles: list[JobHandle]
) -> None:
    client.force_login(admin_user)
    page = page_of(client, handles[1])
    assert f"Waits for 1 other job. The first is {handles[0].id}." in page
    after = page[page.index("Waits for</th>") : page.index("Jobs that wait for it</th>")]
    before = page[page.index("Jobs that wait for it</th>") :].partition("</tr>")[0]
    assert re.findall(r"/admin/jobs/job/([0-9a-f-]+)/change/", after) == [str(handles[0].id)]
    assert re.findall(r"/admin/jobs/job/([0-9a-f-]+)/change/", before) == [str(handles[2].id)]
    assert f"/{handles[1].id}/cancel/" in page


def test_show_tells_the_same(handles: list[JobHandle]) -> None:
    out = StringIO()
    call_command("jobs", "show", str(handles[1].id), "--json", stdout=out)
    shown = json.loads(out.getvalue())
    assert shown["after"] == [{"id": str(handles[0].id), "state": "open"}]
    assert shown["awaited_by"] == [str(handles[2].id)]
    out = StringIO()
    call_command("jobs", "show", str(handles[1].id), stdout=out)
    assert "waits for" in out.getvalue()
    assert f"The first is {handles[0].id}." in out.getvalue()
    out = StringIO()
    call_command("jobs", "list", "--state", "blocked", "--json", stdout=out)
    assert len(json.loads(out.getvalue())) == 2
