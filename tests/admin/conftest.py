"""Rows and readers for the tests of the engine's admin pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership, Organization, User
from jobs import clock
from jobs.models import Job

LIST = "/admin/jobs/job/"

MakeJob = Callable[..., Job]
MakeClient = Callable[..., Client]


@pytest.fixture
def walked(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """How many pages each stranger has looked at; the run says at its end how many all were."""
    counter: Counter[str] = Counter()
    yield counter
    request.node.user_properties.append(("walked", dict(counter)))


@pytest.fixture
def make_job(db: None) -> MakeJob:
    """`make_job(state="failed", age=timedelta(...), **fields)`: one row, as the broker would have left it."""

    def make(age: timedelta = timedelta(minutes=1), **fields: Any) -> Job:
        now = clock.now()
        values: dict[str, Any] = {
            "id": clock.new_id(),
            "queue": "email",
            "task": "test.task",
            "state": "completed",
            "message": '{"v": 1, "args": [], "kwargs": {}}',
            "created_at": now - age,
            "ready_at": now - age,
        }
        return Job.objects.create(**{**values, **fields})

    return make


@pytest.fixture
def client_with(db: None) -> MakeClient:
    """`client_with("view_job", "retry_job")`: signed-in staff with these permissions of `jobs`, for everybody's jobs.

    `member_of=organization`: for the jobs of this organization only.
    """

    def sign_in(*permissions: str, member_of: Organization | None = None, **options: Any) -> Client:
        user = User.objects.create_user(f"staff-{'-'.join(permissions)}-{member_of or ''}@example.org", is_staff=True)
        given = {*permissions, *([] if member_of else ["view_every_scope"])}
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="jobs", codename__in=given))
        if member_of:
            Membership.objects.create(organization=member_of, user=user)
        client = Client(**options)
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def viewer(client_with: MakeClient) -> Client:
    """Somebody who may look and nothing else."""
    return client_with("view_job", "view_attempt")


@pytest.fixture
def operator(client_with: MakeClient) -> Client:
    """Somebody who may do everything."""
    return client_with(
        *("view_job", "view_attempt", "retry_job", "cancel_job", "promote_job", "discard_job", "edit_job"),
        "pause_queue",
    )


def address(job_id: UUID, name: str = "change") -> str:
    """A page or button of a job."""
    return f"{LIST}{job_id}/{name}/"


def queries_on_jobs(client: Client, path: str) -> list[str]:
    """The statements on the job table that a page needs."""
    client.get(LIST)  # what is cached for the process: content types, the translation
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in queries if '"jobs_job"' in query["sql"]]
