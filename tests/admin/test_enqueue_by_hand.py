"""A job enqueued by hand: a form made of the task's signature, checked as a call of the code is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import User
from jobs import Queue, Refused
from jobs.defined import find_task
from jobs.models import Job
from jobs.operate.by_hand import enqueue_by_hand
from tests.leads.people import make_organization

from .conftest import LIST, MakeClient, MakeJob, address

lane = Queue("by_hand_lane")
PAGE = f"{LIST}enqueue/"
ID = UUID("019ae3f0-0000-7000-8000-000000000001")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Place:
    city: str
    zip: int = 0


@lane.task(name="by_hand.everything")
def everything(
    number: int,
    name: str,
    price: Decimal,
    when: datetime,
    ident: UUID,
    colour: Colour,
    size: Literal["small", 7],
    flag: bool,
    place: Place,
    rows: list[int],
    day: date | None = None,
    share: float = 0.5,
    pause: timedelta | None = None,
    anything: Any = None,
    *more: int,
    **others: str,
) -> None:
    """Do all of it.

    And more.
    """


@lane.task(name="by_hand.secret", personal=("email",))
def secret(email: str, note: str = "") -> None: ...


@lane.task(name="by_hand.nothing")
def nothing() -> None: ...


@lane.task(name="by_hand.keyed", unique=("number",))
def keyed(number: int) -> None: ...


@lane.task(name="by_hand.owned")
def owned(organization_id: UUID, number: int = 0) -> None: ...


FULL = {
    "number": "7",
    "name": " Ana\nLima ",
    "price": "10.50",
    "when": "2026-11-20T10:30:00",
    "ident": str(ID),
    "colour": "BLUE",
    "size": "7",
    "flag": "no",
    "place": '{"city": "São Paulo"}',
    "rows": "[1, 2]",
}


@pytest.fixture
def here(settings: Any) -> None:
    """The queue of this file is the site's only one."""
    settings.JOBS = {**settings.JOBS, "QUEUES": __name__}


@pytest.fixture
def clerk(client_with: MakeClient) -> Client:
    return client_with("view_job", "enqueue_job")


def post(client: Client, task: str, _how: dict[str, str] | None = None, **given: str) -> Any:
    data = {f"argument-{name}": value for name, value in given.items()}
    data |= {f"how-{name}": value for name, value in (_how or {}).items()}
    return client.post(f"{PAGE}?task={task}", data)


def call_of(job: Job) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return find_task(job.task).signature.decode(job.message)


def errors(page: Any) -> dict[str, str]:
    assert page.status_code == 200
    forms = (page.context["call"], page.context["how"])
    return {name: " ".join(texts) for form in forms for name, texts in form.errors.items()}


@pytest.mark.usefixtures("here")
def test_a_form_of_every_type_makes_the_call_that_the_code_would(clerk: Client) -> None:
    page = clerk.get(f"{PAGE}?task=by_hand.everything").content.decode()
    assert "Do all of it." in page
    assert "And more." not in page
    assert re.search(r'<select name="argument-colour"[^>]*>.*?RED.*?BLUE', page, re.S)
    assert 'type="datetime-local" name="argument-when"' in page.replace("\n", " ") or "datetime-local" in page
    answered = post(clerk, "by_hand.everything", **FULL)
    assert answered.status_code == 302, errors(answered)
    job = Job.objects.get()
    assert answered.headers["Location"] == address(job.pk)
    args, kwargs = call_of(job)
    named = everything.signature.named(args, kwargs)
    assert named["number"] == 7
    assert named["name"] == " Ana\r\nLima " or named["name"] == " Ana\nLima "
    assert (named["price"], named["ident"], named["colour"], named["size"]) == (Decimal("10.50"), ID, Colour.BLUE, 7)
    assert (named["flag"], named["place"], named["rows"]) == (False, Place("São Paulo"), [1, 2])
    assert named["when"] == datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
    assert not {"day", "share", "pause", "anything", "more", "others"} & named.keys()


@pytest.mark.usefixtures("here")
def test_what_may_be_left_out_is_given_where_it_is_filled_in(clerk: Client) -> None:
    more = {"day": "2026-11-20", "share": "0.25", "pause": "00:01:30", "anything": "null", "more": "[1, 2]"}
    answered = post(clerk, "by_hand.everything", **FULL, **more, others='{"a": "b"}')
    assert answered.status_code == 302, errors(answered)
    args, kwargs = call_of(Job.objects.get())
    assert args[-2:] == (1, 2)
    assert args[10:14] == (date(2026, 11, 20), 0.25, timedelta(seconds=90), None)
    assert kwargs == {"a": "b"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("number", "seven", "whole number"),
        ("number", "", "required"),
        ("number", str(2**70), "64 bits"),
        ("price", "dear", "number"),
        ("when", "tomorrow", "valid date"),
        ("ident", "7", "UUID"),
        ("colour", "GREEN", "GREEN"),
        ("size", "8", "8"),
        ("flag", "", "required"),
        ("place", "{", "not JSON"),
        ("place", '{"town": "x"}', "place"),
        ("place", "", "required"),
        ("rows", '{"a": 1}', "no JSON list"),
        ("rows", '["x"]', "rows"),
        ("more", '["x"]', "more"),
        ("others", "[1]", "no JSON object"),
        ("others", '{"a": 1}', "a"),
        ("share", "half", "number"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_does_not_fit_is_said_at_its_field(clerk: Client, name: str, value: str, said: str) -> None:
    page = post(clerk, "by_hand.everything", **{**FULL, name: value})
    found = errors(page)
    assert set(found) == {name}
    assert said in found[name]
    assert [str(job) for job in Job.objects.all()] == []
    if value and name not in ("colour", "size"):
        assert page.context["call"][name].value() == value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("at", "2099-01-01T00:00:00", "one year ahead"),
        ("priority", "11", "11"),
        ("tags", 'a"b', "quotation marks"),
        ("group", "x" * 101, "1 to 100"),
        ("key", "x" * 300, "key"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_wrong_option_is_said_at_its_field(clerk: Client, name: str, value: str, said: str) -> None:
    found = errors(post(clerk, "by_hand.nothing", {name: value}))
    assert set(found) == {name}
    assert said in found[name]
    assert [str(job) for job in Job.objects.all()] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("here")
def test_options_are_those_of_the_call(clerk: Client) -> None:
    how = {"priority": "1", "key": "k", "tags": "import:42, red", "group": "org-7", "at": "2026-12-24T08:00:00"}
    assert post(clerk, "by_hand.nothing", how).status_code == 302
    job = Job.objects.get()
    assert (job.priority, job.key, job.group, json.loads(job.tags)) == (1, "k", "org-7", ["import:42", "red"])
    assert job.ready_at == datetime(2026, 12, 24, 8, tzinfo=UTC)
    again = post(clerk, "by_hand.nothing", how)
    assert again.headers["Location"] == address(job.pk)
    assert Job.objects.count() == 1
    assert LogEntry.objects.filter(object_id=str(job.pk)).count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("here")
def test_a_task_whose_arguments_make_the_key_takes_no_other(clerk: Client) -> None:
    assert "key" not in clerk.get(f"{PAGE}?task=by_hand.keyed").context["how"].fields
    first = post(clerk, "by_hand.keyed", number="1")
    assert post(clerk, "by_hand.keyed", number="1").headers["Location"] == first.headers["Location"]


@pytest.mark.usefixtures("here")
def test_personal_arguments_are_neither_logged_nor_repeated(clerk: Client) -> None:
    post(clerk, "by_hand.secret", email="ana@example.org", note="hello")
    job = Job.objects.get()
    entry = LogEntry.objects.get()
    assert "ana@" not in f"{entry.object_repr} {entry.change_message}"
    assert entry.get_change_message() == "Enqueued by hand."
    again = clerk.get(f"{PAGE}?task=by_hand.secret&like={job.pk}")
    page = again.content.decode()
    assert "hello" in page
    assert "ana@" not in page
    assert "Not taken over, as personal: email" in page
    refused = post(
        clerk, "by_hand.secret", email="ana@example.org\ud800".encode("utf-8", "replace").decode(), note="\x00"
    )
    assert "ana@" not in " ".join(errors(refused).values())


@pytest.mark.usefixtures("here")
def test_a_job_is_the_beginning_of_another(clerk: Client, viewer: Client) -> None:
    post(clerk, "by_hand.everything", **FULL, others='{"a": "b"}')
    job = Job.objects.get()
    link = f"{PAGE}?task=by_hand.everything&amp;like={job.pk}"
    assert link in clerk.get(address(job.pk)).content.decode()
    assert PAGE not in viewer.get(address(job.pk)).content.decode()
    call = clerk.get(link.replace("&amp;", "&")).context["call"]
    shown = {name: call[name].value() for name in ("number", "when", "colour", "flag", "size", "rows", "ident")}
    assert shown["number"] == 7
    assert shown["colour"] == "BLUE"
    assert shown["size"] == "7"
    assert shown["flag"] == "no"
    assert json.loads(shown["rows"]) == [1, 2]
    assert str(shown["when"]).startswith("2026-11-20 10:30") or str(shown["when"]).startswith("2026-11-20T10:30")


@pytest.mark.usefixtures("here")
def test_the_page_needs_its_permission_and_csrf(client_with: MakeClient, viewer: Client) -> None:
    assert viewer.get(PAGE).status_code == 403
    assert post(viewer, "by_hand.nothing").status_code == 403
    assert "enqueue/" not in viewer.get(LIST).content.decode()
    strict = client_with("view_job", "enqueue_job", enforce_csrf_checks=True)
    assert post(strict, "by_hand.nothing").status_code == 403
    assert Client().get(PAGE).status_code == 302
    assert [str(job) for job in Job.objects.all()] == []


@pytest.mark.usefixtures("here")
def test_a_member_enqueues_for_the_own_organization_only(client_with: MakeClient, make_job: MakeJob) -> None:
    acme, other = make_organization("acme"), make_organization("other")
    member = client_with("view_job", "enqueue_job", member_of=acme)
    assert post(member, "by_hand.owned", organization_id=str(acme.pk)).status_code == 302
    foreign = errors(post(member, "by_hand.owned", organization_id=str(other.pk)))
    assert "whose jobs you may not enqueue" in foreign["__all__"]
    nobodys = errors(post(member, "by_hand.nothing"))
    assert "only who sees all jobs may enqueue it" in nobodys["__all__"]
    assert set(Job.objects.values_list("scope", flat=True)) == {str(acme.pk)}
    theirs = make_job(scope=str(other.pk), task="by_hand.owned", queue="by_hand_lane")
    assert member.get(f"{PAGE}?task=by_hand.owned&like={theirs.pk}").status_code == 404


def test_only_tasks_that_are_registered_are_offered(clerk: Client) -> None:
    page = clerk.get(PAGE).content.decode()
    assert f"{PAGE}?task=emails.send_welcome" in page
    unknown = clerk.get(f"{PAGE}?task=os.system", follow=True)
    assert "There is no task os.system" in unknown.content.decode()
    hostile = clerk.get(f"{PAGE}?task=%3Cscript%3Ealert(1)", follow=True).content.decode()
    assert "<script>alert" not in hostile


def test_every_task_of_the_product_has_a_form(clerk: Client) -> None:
    from jobs.defined import queues

    names = [name for queue in queues().values() for name in queue.tasks]
    assert len(names) > 15
    for name in names:
        page = clerk.get(f"{PAGE}?task={name}")
        assert page.status_code == 200, name


@pytest.mark.usefixtures("here")
def test_a_member_gives_no_key_or_group_that_keeps_others_jobs_out(client_with: MakeClient, make_job: MakeJob) -> None:
    acme = make_organization("acme")
    theirs = make_job(scope="other", key="theirs", state="queued", task="by_hand.owned", queue="by_hand_lane")
    member = client_with("view_job", "enqueue_job", member_of=acme)
    assert not {"key", "group"} & member.get(f"{PAGE}?task=by_hand.owned").context["how"].fields.keys()
    how = {"key": "theirs", "group": "other"}
    answered = post(member, "by_hand.owned", how, organization_id=str(acme.pk))
    own = Job.objects.exclude(pk=theirs.pk).get()
    assert answered.headers["Location"] == address(own.pk)
    assert (own.key, own.group) == (None, "")
    person = User.objects.get(pk=member.session["_auth_user_id"])
    for name, value in how.items():
        with pytest.raises(Refused, match=name):
            enqueue_by_hand(owned, (acme.pk,), {}, person, **{name: value})
