"""What people see of batches."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.contrib.auth.models import AbstractUser
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from jobs import Batch, BrokerUnavailable, Fixed, Queue, UnknownBatch, clock

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
    assert client.post(pages[1], {"name": "x"}).status_code == 403
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
