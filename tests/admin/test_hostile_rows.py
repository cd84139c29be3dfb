"""No row, however shaped, makes a page or a command fail: of an older version, by hand, cut off, or by a stranger."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from jobs import Queue, clock
from jobs.models import Attempt, AttemptOutcome, Job
from jobs.states import State

pytestmark = pytest.mark.django_db
lane = Queue("hostile_lane")


@lane.task(name="hostile.tell", personal=("secret",))
def tell(secret: str, *more: int, day: datetime | None = None, **others: Any) -> None: ...


DEEP = "[" * 50_000
BOTH = "\x1b[31m\x1b]0;title\x07 \x9b2J \u202eevil\u2066 \x00 \r\n\x85\u2028 {{ x }} %s %(a)s <script> 😀"
WRONG = BOTH.replace("\x00", "")
MESSAGES = {
    "whole": '{"v":1,"args":["aaaa"],"kwargs":{}}',
    "empty": "",
    "no json": "rubbish",
    "cut off": '{"v":1,"args":["a',
    "null": "null",
    "a number": "5",
    "a list": "[1]",
    "other version": '{"v":99,"args":[],"kwargs":{}}',
    "no arguments": '{"v":1}',
    "args of another kind": '{"v":1,"args":5,"kwargs":[1]}',
    "kwargs of another kind": '{"v":1,"args":{"a":1},"kwargs":"x"}',
    "deep": DEEP,
    "deep and whole": '{"v":1,"args":[' + "[" * 900 + "]" * 900 + '],"kwargs":{}}',
    "half surrogates": '{"v":1,"args":["x\\ud800"],"kwargs":{"\\udfff":"\\udc80","secret":"\\ud800aaaa"}}',
    "control": json.dumps({"v": 1, "args": [BOTH], "kwargs": {BOTH: BOTH}}),
    "huge number": '{"v":1,"args":[' + "9" * 5_000 + '],"kwargs":{}}',
    "no numbers": '{"v":1,"args":[NaN,Infinity,-Infinity],"kwargs":{}}',
    "long line": json.dumps({"v": 1, "args": ["x" * 65_000], "kwargs": {}}),
    "wide": json.dumps({"v": 1, "args": list(range(10_000)), "kwargs": {str(i): i for i in range(2_000)}}),
    "erased": '{"erased": true}',
    "own names": '{"v":1,"args":[],"kwargs":{"self":1,"args":2,"kwargs":3,"job":4,"":5," ":6}}',
    "secret twice": '{"v":1,"args":["aaaa"],"kwargs":{"secret":"bbbb"}}',
}
RESULTS = {
    **MESSAGES,
    "text": json.dumps(BOTH),
    "half": '"\\ud800"',
    "keys": '{"\\ud800": {"\\u202e": ["\\u001b"]}}',
    "e": "1e999",
}
TEXTS = {
    "control": WRONG,
    "long": "x" * 65_000,
    "long with spaces": "word " * 13_000,
    "lines": "\n" * 3_000,
    "frame": 'Traceback\n  File "a\x1b.py", line 99999999999999999999, in \u202ef\n' * 100,
    "template": "{% include x %} {{ 1 }} %(error)s %d %",
    "engine's": "retry refused: job \u202e holds the key",
    "nested reason": "engine error: " * 500,
}
MOMENTS = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(1, 1, 1, 23, tzinfo=UTC)]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("boss@example.com", "x"))
    return client


def row(**values: Any) -> Job:
    now = clock.now()
    given = {"queue": "hostile_lane", "task": "hostile.tell", "state": State.FAILED, "message": MESSAGES["whole"]}
    given |= {"created_at": now, "ready_at": now, "started_at": now, "ended_at": now} | values
    return Job.objects.create(**given)


def attempt(job: Job, **values: Any) -> Attempt:
    return Attempt.objects.create(job=job, **{"outcome": AttemptOutcome.FAILED, "ended_at": clock.now(), **values})


def open_everything(staff: Client) -> None:
    """Every page and every command that shows one of the jobs, or all of them."""
    every = reverse("admin:jobs_job_changelist")
    pages = [every, f"{every}?q=evil", reverse("admin:jobs_attempt_changelist")]
    pages += [reverse("admin:app_list", args=["jobs"])]
    pages += [reverse("admin:jobs_job_change", args=[job.pk]) for job in Job.objects.all()]
    pages += [reverse("admin:jobs_attempt_change", args=[one.pk]) for one in Attempt.objects.all()]
    for page in pages:
        answer = staff.get(page)
        assert answer.status_code == 200, page
        answer.content.decode()
    for words in [["list"], ["status"], *(["show", str(job.pk)] for job in Job.objects.all())]:
        for form in ([], ["--json"]):
            out = io.StringIO()
            call_command("jobs", *words, *form, stdout=out)
            text = out.getvalue()
            text.encode()
            assert not {one for one in text if one != "\n" and not one.isprintable()}, words
            if form:
                json.loads(text)


@pytest.mark.parametrize("task", ["hostile.tell", pytest.param("gone.from.the.code", marks=pytest.mark.slow)])
def test_a_message_of_any_shape_can_be_looked_at(staff: Client, task: str) -> None:
    for message in MESSAGES.values():
        row(message=message, task=task)
    open_everything(staff)


@pytest.mark.parametrize("task", ["hostile.tell", pytest.param("gone.from.the.code", marks=pytest.mark.slow)])
def test_a_result_of_any_shape_can_be_looked_at(staff: Client, task: str) -> None:
    for result in RESULTS.values():
        row(state=State.COMPLETED, result=result, task=task)
    open_everything(staff)


def test_a_text_of_any_shape_can_be_looked_at(staff: Client) -> None:
    for said in TEXTS.values():
        shown = {"key": said[:200], "event": said[:100], "about_type": said[:100], "about_id": said[:64]}
        job = row(error=said, reason=said[:250], **shown)
        attempt(job, error=said, traceback=said, worker=said[:120])
    open_everything(staff)


def test_names_that_no_code_knows_can_be_looked_at_in_every_state(staff: Client) -> None:
    for state in State:
        named = {"queue": WRONG[:50], "task": WRONG, "error": WRONG, "worker_id": UUID(int=1)}
        attempt(row(state=state, message=MESSAGES["control"], **named), outcome="of later", number=None, error=WRONG)
    open_everything(staff)


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", pytest.param("Asia/Tokyo", marks=pytest.mark.slow)])
def test_times_at_the_ends_of_time_can_be_looked_at(staff: Client, settings: Any, zone: str) -> None:
    settings.TIME_ZONE = zone
    times = ("created_at", "ready_at", "expires_at", "claimed_at", "started_at", "ended_at", "unknown_since")
    for state in State:
        for moment in MOMENTS:
            job = row(state=state, **dict.fromkeys(times, moment))
            attempt(job, claimed_at=moment, started_at=moment, ended_at=moment)
    open_everything(staff)


def test_times_that_run_backwards_and_missing_ones_can_be_looked_at(staff: Client) -> None:
    now = clock.now()
    attempt(row(started_at=now, ended_at=now - timedelta(days=400)), started_at=now, ended_at=now - timedelta(days=2))
    for state in State:
        row(state=state, started_at=None, ended_at=None, claimed_at=None)
    open_everything(staff)
