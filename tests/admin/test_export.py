"""Export of what the list shows: whole, masked, harmless in a spreadsheet, by permission, and in little memory."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.test import AsyncClient, Client

from accounts.models import User
from jobs import Queue, clock
from jobs.admin import export
from jobs.models import Job
from tests.leads.people import make_organization

from .conftest import LIST, MakeClient, MakeJob
from .test_job_list import ids

lane = Queue("export_lane")
EXPORT = f"{LIST}export/"


@lane.task(name="export.greet", personal=("name",))
def greet(name: str, city: str = "") -> None: ...


@pytest.fixture
def exporter(client_with: MakeClient) -> Client:
    return client_with("view_job", "export_job")


def content(client: Client, query: str = "", kind: str = "json") -> str:
    response = client.post(f"{EXPORT}{query}", {"format": kind})
    assert response.status_code == 200, response.headers
    assert response.streaming
    return response.getvalue().decode()


def documents(client: Client, query: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in content(client, query).splitlines()]


@pytest.mark.parametrize("query", ["", "?state=failed", "?q=state:failed", "?q=error:boom", "?q=boom", "?q=tag:red"])
def test_everything_that_matches_is_exported_newest_first_whatever_the_pieces(
    exporter: Client, make_job: MakeJob, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PIECE", 3)
    jobs = [make_job(state="failed", error="boom", tags='["red"]') for _ in range(9)]
    others = [make_job(queue="lead")]
    expected = [*jobs, *others] if not query else jobs
    assert [one["id"] for one in documents(exporter, query)] == ids(*expected[::-1])
    lines = list(csv.reader(io.StringIO(content(exporter, query, "csv"))))
    assert lines[0] == list(export.COLUMNS)
    assert [line[0] for line in lines[1:]] == ids(*expected[::-1])


def test_personal_arguments_are_masked(exporter: Client, make_job: MakeJob) -> None:
    message = json.dumps({"v": 1, "args": ["Ana Silva"], "kwargs": {"city": "home of Ana Silva"}})
    make_job(
        task="export.greet", queue="export_lane", message=message, state="failed", error="no Ana Silva", key="Ana Silva"
    )
    for kind in ("csv", "json"):
        assert "Ana" not in content(exporter, "", kind)
    assert documents(exporter)[0]["arguments"] == {"name": "***", "city": "home of ***"}


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_no_cell_is_a_formula(exporter: Client, make_job: MakeJob, evil: str) -> None:
    make_job(state="failed", error=evil, group=evil.strip(), tags=json.dumps([evil.strip()]))
    (line,) = list(csv.DictReader(io.StringIO(content(exporter, "", "csv"))))
    for value in line.values():
        assert not value.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d")), value
    assert documents(exporter)[0]["error"] == evil


def test_an_export_needs_its_permission_and_a_post_and_reaches_the_own_jobs_only(
    client_with: MakeClient, make_job: MakeJob
) -> None:
    acme, other = make_organization("acme"), make_organization("other")
    own, _foreign = make_job(scope=str(acme.pk)), make_job(scope=str(other.pk))
    viewer = client_with("view_job")
    assert "export/" not in viewer.get(LIST).content.decode()
    assert viewer.post(EXPORT, {"format": "csv"}).status_code == 403
    assert client_with("export_job").post(EXPORT, {"format": "csv"}).status_code == 403
    member = client_with("view_job", "export_job", member_of=acme)
    assert member.get(EXPORT).status_code == 405
    assert [one["id"] for one in documents(member)] == ids(own)
    assert documents(member, f"?q=scope:{other.pk}") == []
    strict = client_with("view_job", "export_job", enforce_csrf_checks=True)
    assert strict.post(EXPORT, {"format": "csv"}).status_code == 403
    assert LogEntry.objects.filter(change_message__startswith="Exported as json").count() == 2


def test_what_was_exported_stands_in_the_log(exporter: Client, make_job: MakeJob) -> None:
    make_job(state="failed")
    content(exporter, "?state=failed&q=queue:email", "csv")
    entry = LogEntry.objects.get()
    assert entry.get_change_message() == "Exported as csv: State: failed, Query: queue:email."
    assert entry.user == User.objects.get()


def test_a_wrong_query_or_format_exports_nothing(exporter: Client, make_job: MakeJob) -> None:
    make_job()
    for query, kind, said in (
        ("?q=queue:emial", "csv", "Queue:emial: there is no"),
        ("", "xlsx", "Format=xlsx: expected"),
    ):
        response = exporter.post(f"{EXPORT}{query}", {"format": kind}, follow=True)
        assert said in response.content.decode()
    assert not LogEntry.objects.exists()


def test_an_export_holds_few_jobs_at_once_and_stops_with_its_reader(
    exporter: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PIECE", 5)
    template = make_job()
    message = json.dumps({"v": 1, "args": ["x" * 20_000], "kwargs": {}})
    values = {
        field.attname: getattr(template, field.attname) for field in Job._meta.concrete_fields if field.attname != "id"
    }
    from jobs import clock

    Job.objects.bulk_create([Job(**{**values, "id": clock.new_id(), "message": message}) for _ in range(300)])
    response = exporter.post(EXPORT, {"format": "json"})
    tracemalloc.start()
    length = sum(len(piece) for piece in response)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length > 6_000_000
    assert peak < 3_000_000
    half = exporter.post(EXPORT, {"format": "json"})
    next(iter(half))
    half.close()


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_server_streams_too(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    fields = {"queue": "email", "task": "t", "state": "completed", "message": "{}", "created_at": now, "ready_at": now}
    Job.objects.bulk_create(Job(**fields) for _ in range(7))
    user = User.objects.create_superuser("boss@example.org")
    monkeypatch.setattr(export, "PIECE", 2)

    async def pieces() -> list[bytes]:
        client = AsyncClient()
        await client.aforce_login(user)
        response = await client.post(EXPORT, {"format": "json"})
        assert response.is_async
        return [piece async for piece in response.streaming_content]

    found = async_to_sync(pieces)()
    assert len(found) == 4
    assert len(b"".join(found).splitlines()) == 7
