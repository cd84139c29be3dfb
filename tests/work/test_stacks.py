"""Whoever asks is shown where a running job is: in a thread, on the loop; without values, and honestly where not."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client

from accounts.models import User
from jobs import Queue, clock
from jobs.define.context import running
from jobs.errors import Refused
from jobs.history import lookup
from jobs.models import StackRequest
from jobs.operate import stack
from jobs.operate.stack import ask_stack, last_stack
from jobs.work import answers, event_loop
from jobs.work.answers import StackAnswers
from jobs.work.execution import execute
from tests.each_broker import claim
from tests.each_broker import each_broker as each_broker
from tests.faults.harness import wait_for
from tests.leads.people import make_organization

lane = Queue("stack_lane", attempts=1)
begun, go_on = threading.Event(), threading.Event()


def deep_inside(secret: str) -> None:
    begun.set()
    assert go_on.wait(60)


@lane.task(name="stack.hang", personal=("secret",))
def hang(secret: str) -> None:
    deep_inside(secret)


async def far_away() -> None:
    begun.set()
    while not go_on.is_set():
        await asyncio.sleep(0.01)


@lane.task(name="stack.wait")
async def wait() -> None:
    await far_away()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(answers, "LOOK_EVERY", 0.05)
    begun.clear()
    go_on.clear()
    yield
    go_on.set()


@contextmanager
def runs(handle: Any, *, answering: bool = True) -> Iterator[UUID]:
    """The job runs in a worker that answers, until the end of the block."""
    (job,) = claim(lane.name)
    assert job.id == handle.id
    worker = lookup.find_job(job.id).worker_id
    assert worker is not None

    def work() -> None:
        execute(job, lane, worker)
        connections.close_all()

    threads: list[threading.Thread] = [threading.Thread(target=work)]
    watch = StackAnswers(worker, holds_jobs=lambda: True, of_runner=lambda job: None)
    threads += [watch] if answering else []
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    try:
        yield job.id
    finally:
        go_on.set()
        watch.end()
        for thread in threads:
            thread.join(60)


def test_the_worker_says_where_a_job_of_a_thread_is(each_broker: str) -> None:
    with runs(hang.enqueue("a very private text")) as job:
        seen = ask_stack(job, wait=30)
    assert seen.text.startswith("Traceback (most recent call last):\n")
    assert ", in hang\n    deep_inside(secret)\n" in seen.text
    assert ", in deep_inside\n" in seen.text
    assert "jobs/work/" not in seen.text
    assert "private" not in seen.text
    assert (seen.sentence, seen.late) == ("", False)


def test_the_worker_says_where_a_job_of_the_loop_waits(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "_is_worker", True)
    with runs(wait.enqueue()) as job:
        seen = wait_for(lambda: _with(ask_stack(job, wait=30), "asyncio.sleep"))
    assert ", in wait\n    await far_away()\n" in seen.text
    assert ", in far_away\n    await asyncio.sleep(0.01)\n" in seen.text


def _with(seen: Any, text: str) -> Any:
    return seen if text in seen.text else None


def test_a_worker_that_does_not_answer_is_said_to_hold_its_interpreter(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runs(hang.enqueue("x"), answering=False) as job:
        seen = ask_stack(job, wait=0)
        assert seen.is_open
        assert not seen.late
        assert "answers within a second or two" in seen.sentence
        StackRequest.objects.update(asked_at=clock.now() - timedelta(seconds=6))
        late = last_stack(lookup.find_job(job))
        assert late is not None
        assert late.late
        assert "did not answer within 5 s: it may hold the interpreter" in late.sentence
        # what nobody waits for any more is not answered, and goes with the next question
        StackRequest.objects.update(asked_at=clock.now() - timedelta(minutes=5))
        worker = lookup.find_job(job).worker_id
        assert worker is not None
        watch = StackAnswers(worker, holds_jobs=lambda: True, of_runner=lambda job: None)
        assert watch.answer() == 0
        StackRequest.objects.update(asked_at=clock.now() - timedelta(hours=2))
        assert last_stack(lookup.find_job(job)) is None
        ask_stack(job, wait=0)
        assert StackRequest.objects.count() == 1
        assert watch.answer() == 1


def test_a_job_that_has_ended_meanwhile_and_one_that_waits_have_none(transactional_db: None) -> None:
    handle = hang.enqueue("x")
    with pytest.raises(Refused, match="is waiting: only one that runs has a stack"):
        ask_stack(handle)
    (job,) = claim(lane.name)
    worker = lookup.find_job(job.id).worker_id
    assert worker is not None
    assert job.id not in running
    ask_stack(job.id, wait=0)
    assert StackAnswers(worker, holds_jobs=lambda: True, of_runner=lambda job: None).answer() == 1
    seen = last_stack(lookup.find_job(job.id))
    assert seen is not None
    assert seen.sentence == "The job did not run any more when its worker looked."


def test_only_the_worker_that_is_asked_answers(transactional_db: None) -> None:
    hang.enqueue("x")
    (job,) = claim(lane.name)
    ask_stack(job.id, wait=0)
    assert StackAnswers(clock.new_id(), holds_jobs=lambda: True, of_runner=lambda job: None).answer() == 0


def test_what_a_runner_tells_is_the_answer_and_no_steering_characters(transactional_db: None) -> None:
    hang.enqueue("x")
    (job,) = claim(lane.name)
    worker = lookup.find_job(job.id).worker_id
    assert worker is not None
    ask_stack(job.id, wait=0)
    StackAnswers(worker, holds_jobs=lambda: True, of_runner=lambda job: "in a\x1b[31m runner\n").answer()
    seen = last_stack(lookup.find_job(job.id))
    assert seen is not None
    assert seen.text == "in a\\x1b[31m runner\n"


def test_the_command_shows_it_and_says_why_not(transactional_db: None) -> None:
    out = io.StringIO()
    with runs(hang.enqueue("a very private text")) as job:
        call_command("jobs", "stack", str(job), stdout=out)
        assert "in deep_inside" in out.getvalue()
        out = io.StringIO()
        call_command("jobs", "stack", str(job), "--json", stdout=out)
        assert "in deep_inside" in json.loads(out.getvalue())["stack"]
    with pytest.raises(CommandError, match="only one that runs has a stack"):
        call_command("jobs", "stack", str(hang.enqueue("x").id), stdout=out)


def staff(*permissions: str, **options: Any) -> Client:
    from django.contrib.auth.models import Permission

    user = User.objects.create_user(f"{'-'.join(permissions)}@example.org", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions, content_type__app_label="jobs"))
    client = Client(**options)
    client.force_login(user)
    return client


def test_the_button_needs_its_permission_and_csrf_and_leaves_a_line_in_the_log(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.admin.models import LogEntry

    client = staff("view_job", "view_every_scope", "view_stack")
    with runs(hang.enqueue("a very private text")) as job:
        page, button = f"/admin/jobs/job/{job}/change/", f"/admin/jobs/job/{job}/stack/"
        assert "Show where it is" in client.get(page).content.decode()
        assert client.get(button).status_code == 405
        answer = client.post(button, follow=True)
        assert "in deep_inside" in answer.content.decode()
        assert "private" not in answer.content.decode()
        assert LogEntry.objects.get().get_change_message() == "Asked for its stack."
        stranger = staff("view_job", "view_every_scope")
        assert "deep_inside" not in stranger.get(page).content.decode()
        assert "Show where it is" not in stranger.get(page).content.decode()
        assert stranger.post(button).status_code == 403
        strict = staff("view_job", "view_stack", "view_every_scope", "retry_job", enforce_csrf_checks=True)
        assert strict.post(button).status_code == 403
        assert staff("view_stack").post(button).status_code in (403, 404)
        assert LogEntry.objects.count() == 1


def test_a_member_asks_about_the_own_organizations_jobs_only(transactional_db: None) -> None:
    from accounts.models import Membership

    client = staff("view_job", "view_stack")
    Membership.objects.create(organization=make_organization("acme"), user=User.objects.get())
    hang.enqueue("x")
    (job,) = claim(lane.name)
    assert client.post(f"/admin/jobs/job/{job.id}/stack/").status_code == 404
    assert not StackRequest.objects.exists()
    assert stack.VIEW_STACK == "jobs.view_stack"
