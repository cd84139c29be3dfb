"""The page that edits a job: what waits, and a dead letter with its retry; what is personal, refused or too late."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from jobs import Queue, clock
from jobs.models import Job
from tests.leads.people import make_organization

from .conftest import MakeClient, MakeJob, address

lane = Queue("edit_lane")
ADA, GRACE = "ada@example.org", "grace@example.org"
EDITOR = ("view_job", "edit_job", "retry_job", "promote_job")


@lane.task(name="edit.write", personal=("to",))
def write(to: str, text: str = "", number: int = 0, **more: Any) -> None: ...


@pytest.fixture(autouse=True)
def _lane_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})


@pytest.fixture
def editor(client_with: MakeClient) -> Client:
    return client_with(*EDITOR)


@pytest.fixture
def waiting(make_job: MakeJob) -> Job:
    return make(make_job, "queued", ready_at=clock.now() + timedelta(hours=1))


@pytest.fixture
def dead(make_job: MakeJob) -> Job:
    return make(make_job, "failed")


def make(make_job: MakeJob, state: str, **fields: Any) -> Job:
    message = json.dumps({"v": 1, "args": [ADA, "<b>Helo"], "kwargs": {"number": 7, "note": f"for {ADA}"}})
    return make_job(queue=lane.name, task=write.name, state=state, message=message, **fields)


def form_of(client: Client, job: Job) -> dict[str, str]:
    """What a browser would send without a change."""
    response = client.get(address(job.pk, "edit"))
    assert response.status_code == 200
    form = response.context["form"]
    return {"seen": response.context["seen"], **{field.name: field.value() or "" for field in form}}


def send(client: Client, job: Job, form: dict[str, str], **changed: str) -> Any:
    return client.post(address(job.pk, "edit"), {**form, **changed})


def read(job: Job) -> dict[str, Any]:
    job.refresh_from_db()
    args, kwargs = write.signature.decode(job.message)
    return dict(write.signature.signature.bind(*args, **kwargs).arguments)


def test_a_job_that_waits_gets_all_three_and_the_log_has_one_line(editor: Client, waiting: Job) -> None:
    form, later = form_of(editor, waiting), timezone.localtime() + timedelta(days=30)
    due = f"{later:%Y-%m-%dT%H:%M:%S}"
    arguments = json.loads(form["arguments"]) | {"text": "Hello"}
    answer = send(editor, waiting, form, arguments=json.dumps(arguments), priority="2", due=due)
    assert answer.headers["Location"] == address(waiting.pk)
    assert (read(waiting)["text"], read(waiting)["to"], read(waiting)["number"]) == ("Hello", ADA, 7)
    assert (waiting.priority, waiting.ready_at) == (2, later.replace(microsecond=0))
    said = LogEntry.objects.get().change_message
    assert said == "Arguments changed: text. Priority 2. Put off or brought forward."


def test_a_dead_letter_is_edited_and_retried(editor: Client, dead: Job) -> None:
    form = form_of(editor, dead)
    assert address(dead.pk, "edit") in editor.get(address(dead.pk)).content.decode()
    changed = form["arguments"].replace('"number": 7', '"number": 8')
    assert send(editor, dead, form, arguments=changed, priority="1").status_code == 302
    assert (read(dead)["number"], dead.run, dead.state, dead.priority) == (8, 2, "pending", 1)
    assert "other arguments (number)" in LogEntry.objects.get().change_message


def test_what_is_personal_is_never_shown_and_takes_a_permission_of_its_own(
    editor: Client, client_with: MakeClient, waiting: Job
) -> None:
    trusted = client_with(*EDITOR, "edit_personal_arguments")
    for client in (editor, trusted):
        assert ADA not in client.get(address(waiting.pk, "edit")).content.decode()
        form = form_of(client, waiting)
        assert json.loads(form["arguments"]) == {"text": "<b>Helo", "number": 7}
        arguments = json.dumps(json.loads(form["arguments"]) | {"to": GRACE})
        answer = send(client, waiting, form, arguments=arguments)
        assert (answer.status_code, read(waiting)["to"]) == ((200, ADA) if client is editor else (302, GRACE))
        if client is editor:
            assert "You may not change the personal argument" in answer.content.decode()
    assert GRACE not in str(list(LogEntry.objects.values()))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("arguments", "{", "This is not JSON"),
        ("arguments", "[" * 100_000, "This is not JSON"),
        ("arguments", "[1]", "Give a JSON object"),
        ("arguments", '{"text": "x"}', "number cannot be left out"),
        ("arguments", '{"text": "x", "number": "many"}', "number"),
        ("priority", "11", "11 is not one of the available choices"),
        ("due", "soon", "valid date/time"),
        ("due", "2099-01-01T00:00:00", "at most one year"),
    ],
)
def test_a_wrong_value_is_said_at_its_field_and_what_was_typed_stays(
    editor: Client, waiting: Job, field: str, value: str, said: str
) -> None:
    before = (waiting.message, waiting.stored_priority)
    answer = send(editor, waiting, form_of(editor, waiting), **{field: value})
    errors = " ".join(answer.context["form"].errors[field].as_text().split())
    assert said in answer.content.decode(), errors
    assert answer.context["form"][field].value() == value
    waiting.refresh_from_db()
    assert (waiting.message, waiting.stored_priority) == before
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"state": "active"}, "The job is active by now"),
        ({"state": "completed"}, "The job is completed by now"),
        ({"message": '{"v":1,"args":["a"],"kwargs":{"number":9}}'}, "Somebody has changed this job meanwhile"),
        ({"stored_priority": 50}, "Somebody has changed this job meanwhile"),
    ],
)
def test_what_happened_meanwhile_is_told_and_nothing_is_lost(
    editor: Client, waiting: Job, changed: dict[str, Any], said: str
) -> None:
    form = form_of(editor, waiting)
    Job.objects.filter(pk=waiting.pk).update(**changed)
    typed = form["arguments"].replace("Helo", "Hello")
    answer = send(editor, waiting, form, arguments=typed, priority="1")
    assert said in answer.content.decode()
    assert answer.context["form"]["arguments"].value() == typed
    for name, value in Job.objects.values(*changed).get(pk=waiting.pk).items():
        assert value == changed[name]


def test_who_may_not_gets_no_form_and_no_link(
    viewer: Client, client_with: MakeClient, waiting: Job, dead: Job, make_job: MakeJob
) -> None:
    for job in (waiting, dead):
        assert address(job.pk, "edit") not in viewer.get(address(job.pk)).content.decode()
        assert viewer.get(address(job.pk, "edit")).status_code == 403
        assert viewer.post(address(job.pk, "edit"), {"priority": "1"}).status_code == 403
    assert client_with("view_job", "edit_job").get(address(dead.pk, "edit")).status_code == 403
    mover = client_with("view_job", "promote_job")
    assert set(form_of(mover, waiting)) == {"seen", "priority", "due"}
    send(mover, waiting, form_of(mover, waiting), arguments='{"text": "taken"}', priority="3")
    assert (read(waiting)["text"], waiting.priority) == ("<b>Helo", 3)
    strict = client_with(*EDITOR, enforce_csrf_checks=True)
    assert send(strict, waiting, form_of(strict, waiting), priority="4").status_code == 403
    assert mover.get(address(make_job(state="completed").pk, "edit")).status_code == 302


def test_a_form_that_is_sent_unchanged_says_so_and_texts_stay_texts(editor: Client, waiting: Job) -> None:
    page = editor.get(address(waiting.pk, "edit")).content.decode()
    assert "<b>Helo" not in page
    assert re.search(r"&lt;b&gt;Helo", page)
    assert "Nothing is changed yet" in send(editor, waiting, form_of(editor, waiting)).content.decode()


def test_arguments_that_do_not_say_whose_they_are_are_changed_only_by_who_edits_everybodys(
    client_with: MakeClient, make_job: MakeJob, editor: Client
) -> None:
    """Else a job of the own organization could be made to act on a person of another."""
    acme = make_organization("acme")
    message = json.dumps({"v": 1, "args": [ADA, "Hello"], "kwargs": {}})
    job = make_job(queue=lane.name, task=write.name, state="queued", message=message, scope=str(acme.pk))
    member = client_with(*EDITOR, member_of=acme)
    form = form_of(member, job)
    answer = send(member, job, form, arguments=json.dumps(json.loads(form["arguments"]) | {"number": 9}))
    assert "do not say whose they are" in answer.content.decode()
    assert "number" not in read(job)
    send(editor, job, form_of(editor, job), arguments=json.dumps(json.loads(form["arguments"]) | {"number": 9}))
    assert read(job)["number"] == 9
