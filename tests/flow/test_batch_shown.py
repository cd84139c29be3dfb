"""What people see of batches."""

from __future__ import annotations

import html
import json
import re
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import AbstractUser
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from jobs import Batch, BrokerUnavailable, Fixed, Queue, UnknownBatch, clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.history import live
from jobs.operate.batches import cancel_batch
from jobs.work.execution import execute
from tests.admin.conftest import MakeClient
from tests.admin.conftest import client_with as client_with
from tests.each_broker import each_broker as each_broker

pytestmark = pytest.mark.django_db
lane = Queue("shown_batch", attempts=1, backoff=Fixed(0))


@lane.task(name="shown.row")
def row(number: int) -> int:
    return number


@pytest.fixture
def batch() -> Batch:
    with Batch("import <42>", on_complete=row.bind(0)) as batch:
        batch.add_many([row.bind(1), row.bind(2)])
    return batch


def said(*words: str) -> str:
    out = StringIO()
    call_command("jobs", "batches", *words, stdout=out)
    return out.getvalue()


def said_of_job(id: str) -> str:
    out = StringIO()
    call_command("jobs", "show", id, stdout=out)
    return out.getvalue()


def test_command_lists_batches_and_shows_one(batch: Batch) -> None:
    (line,) = json.loads(said("--json"))
    assert line["counts"] == {
        **{"total": 2, "waiting": 2, "active": 0, "completed": 0},
        **{"failed": 0, "cancelled": 0, "expired": 0},
    }
    assert (line["id"], line["name"], line["state"], line["progress"]) == (str(batch.id), "import <42>", "running", 0)
    shown = json.loads(said(str(batch.id), "--json"))
    assert list(shown["follow"]) == ["complete"]
    assert str(batch.id) in said()
    assert "follows its end" in said(str(batch.id))
    assert f"Follows the end of batch {batch.id}." in said_of_job(shown["follow"]["complete"])
    batch.cancel()
    assert json.loads(said(str(batch.id), "--json"))["state"] == "cancelled"


def test_command_refuses_what_is_no_batch() -> None:
    assert "no batches" in said()
    with pytest.raises(CommandError, match="x is no batch's id"):
        said("x")
    with pytest.raises(CommandError, match="is not known"):
        said(str(clock.new_id()))


def test_admin_shows_batches_to_those_who_see_all_jobs_and_changes_nothing(
    admin_user: AbstractUser, client: Client, batch: Batch, django_user_model: type[AbstractUser]
) -> None:
    pages = [reverse("admin:jobs_batch_changelist"), reverse("admin:jobs_batch_change", args=[batch.id])]
    client.force_login(admin_user)
    for page in pages:
        text = client.get(page).content.decode()
        assert "import &lt;42&gt;" in text
        assert "<42>" not in text
    assert "follows its end: <a" in text
    assert client.post(pages[1], {"name": "x"}).status_code == 405
    assert client.post(f"/admin/jobs/batch/{batch.id}/delete/", {"post": "yes"}).status_code == 403
    assert Batch.get(batch.id).name == "import <42>"
    admin_user.is_superuser = False
    admin_user.save()
    assert [client.get(page).status_code for page in pages] == [403, 403]


def test_a_database_that_is_away_is_told_as_every_enqueue_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("jobs.enqueue.batch.stands_alone", lambda: True)
    monkeypatch.setattr("jobs.enqueue.batch.accept_flow", away)
    with pytest.raises(BrokerUnavailable, match="nothing was enqueued"), Batch() as batch:
        batch.add(row.bind(1))
    with pytest.raises(UnknownBatch):
        Batch.get(batch.id)


def page_of(client: Client, batch: Batch, query: str = "") -> str:
    response = client.get(reverse("admin:jobs_batch_change", args=[batch.id]) + query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.mark.django_db(transaction=True)
def test_the_page_tells_progress_pace_and_the_jobs_by_state_on_each_broker(
    each_broker: str, admin_client: Client
) -> None:
    with Batch("import") as batch:
        batch.add_many([row.bind(number) for number in range(20)])
    shown = page_of(admin_client, batch)
    assert "0 of 20 jobs have ended (0 %)" in shown
    assert "a minute so far" not in shown
    broker, worker = get_broker(), ProcessRecord(clock.new_id(), "worker", lane.name, "here", 1, 10)
    broker.register(worker, 600)
    (first,) = broker.exchange(worker.id, lane.policy, [], 1, number=1).jobs
    settlement = execute(first, lane, worker.id)
    assert settlement is not None
    assert len(broker.exchange(worker.id, lane.policy, [settlement], 2, number=2).jobs) == 2
    live.hear()
    shown = page_of(admin_client, batch)
    assert "1 of 20 jobs have ended (5.0 %)" in shown
    assert "At this pace all have ended" in shown
    for state, number in (("completed", 1), ("active", 2), ("waiting", 17), ("failed", 0)):
        assert f'<a href="?state={state}#jobs">{number}</a>' in shown
        listed = page_of(admin_client, batch, f"?state={state}").partition('id="jobs"')[2]
        assert listed.count("<tr><td>") == number, state
    assert page_of(admin_client, batch, "?state=nonsense&after=x").partition('id="jobs"')[2].count("<code>") == 20


def test_a_batch_of_many_jobs_is_paged(batch: Batch, admin_client: Client) -> None:
    with Batch("many") as many:
        many.add_many([row.bind(number) for number in range(120)])
    seen, query = 0, ""
    for _ in range(3):
        page = page_of(admin_client, many, query).partition('id="jobs"')[2]
        seen += page.count("<tr><td>")
        query = html.unescape(found[0]) if (found := re.findall(r'href="(\?state=&amp;after=[^"#]*)', page)) else ""
    assert (seen, query) == (120, "")


def test_the_rest_is_cancelled_by_who_may_and_that_is_noted(
    batch: Batch, admin_client: Client, client_with: MakeClient
) -> None:
    address = f"/admin/jobs/batch/{batch.id}/cancel/"
    viewer = client_with("view_job")
    assert "Cancel the rest" not in page_of(viewer, batch)
    assert viewer.post(address).status_code == 403
    assert client_with("cancel_job").post(address).status_code == 403
    assert admin_client.get(address).status_code == 405
    assert "Cancel the rest" in page_of(admin_client, batch)
    assert "The batch is cancelled" in admin_client.post(address, follow=True).content.decode()
    assert batch.counts.cancelled == 2
    assert "Cancel the rest" not in page_of(admin_client, batch)
    assert LogEntry.objects.get().get_change_message() == "Cancelled."
    gone = admin_client.get(f"/admin/jobs/batch/{clock.new_id()}/change/", follow=True)
    assert "There is no batch" in gone.content.decode()


def test_who_cancels_in_short_steps_hears_that_some_are_left(batch: Batch) -> None:
    assert cancel_batch(batch.id, longest=0) is True
    assert (batch.counts.cancelled, batch.counts.waiting) == (0, 2)
    assert cancel_batch(batch.id) is False
    assert batch.counts.cancelled == 2
