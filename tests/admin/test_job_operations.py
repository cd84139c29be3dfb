"""Buttons and list actions: by POST, with CSRF, each with its own permission, each with a line in the admin's log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import User
from jobs import Fixed, PermanentError, Queue, clock
from jobs.admin import many
from jobs.models import Job, QueueState
from jobs.testing import run_jobs

from .conftest import LIST, MakeClient, MakeJob, address

lane = Queue("buttons_lane", attempts=1, backoff=Fixed(0))

BUTTONS = {"retry": "failed", "cancel": "queued", "promote": "queued", "discard": "failed"}


@lane.task(name="buttons.fail")
def fail() -> None:
    raise PermanentError("no luck")


@pytest.fixture
def ready(make_job: MakeJob) -> dict[str, Job]:
    """For each button a job that it fits."""
    later = clock.now() + timedelta(hours=1)
    return {name: make_job(queue=lane.name, state=state, ready_at=later) for name, state in BUTTONS.items()}


def state_after(name: str, job: Job) -> bool:
    """Whether the button had its effect."""
    job.refresh_from_db()
    return {
        "retry": job.state != "failed",
        "cancel": job.state == "cancelled",
        "discard": job.state == "cancelled",
        "promote": job.ready_at <= clock.now(),
    }[name]


def act(client: Client, name: str, *jobs: Job, query: str = "", **more: Any) -> Any:
    data = {"action": f"{name}_selected", "index": "0", "_selected_action": [str(job.pk) for job in jobs], **more}
    return client.post(f"{LIST}{query}", data, follow=True)


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_acts_for_its_permission_and_is_logged(
    client_with: MakeClient, ready: dict[str, Job], name: str
) -> None:
    client = client_with("view_job", f"{name}_job")
    response = client.post(address(ready[name].pk, name))
    assert (response.status_code, response.headers["Location"]) == (302, address(ready[name].pk))
    assert state_after(name, ready[name])
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user) == (str(ready[name].pk), User.objects.get())
    assert entry.change_message in client.get(address(ready[name].pk)).content.decode()


@pytest.mark.parametrize("name", BUTTONS)
def test_who_may_only_view_or_has_another_permission_cannot_act(
    client_with: MakeClient, ready: dict[str, Job], name: str
) -> None:
    others = [f"{other}_job" for other in BUTTONS if other != name]
    client = client_with("view_job", "change_job", "delete_job", "pause_queue", *others)
    assert client.post(address(ready[name].pk, name)).status_code == 403
    act(client, name, ready[name])
    assert not state_after(name, ready[name])
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_is_offered_only_to_who_may_and_where_it_makes_sense(
    viewer: Client, operator: Client, ready: dict[str, Job], name: str, make_job: MakeJob
) -> None:
    button = f'action="{address(ready[name].pk, name)}"'
    assert button in operator.get(address(ready[name].pk)).content.decode()
    assert button not in viewer.get(address(ready[name].pk)).content.decode()
    ended = make_job(state="completed")
    assert address(ended.pk, name) not in operator.get(address(ended.pk)).content.decode()
    assert f"{name}_selected" in operator.get(LIST).content.decode()
    assert f"{name}_selected" not in viewer.get(LIST).content.decode()


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_is_refused_by_get_and_without_the_csrf_token(
    client_with: MakeClient, operator: Client, ready: dict[str, Job], name: str
) -> None:
    assert operator.get(address(ready[name].pk, name)).status_code == 405
    strict = client_with("view_job", f"{name}_job", enforce_csrf_checks=True)
    assert strict.post(address(ready[name].pk, name)).status_code == 403
    assert strict.post(LIST, {"action": f"{name}_selected", "_selected_action": ready[name].pk}).status_code == 403
    assert not state_after(name, ready[name])


@pytest.mark.parametrize("name", BUTTONS)
def test_an_anonymous_visitor_is_sent_to_the_sign_in_page(ready: dict[str, Job], name: str) -> None:
    response = Client().post(address(ready[name].pk, name))
    assert response.headers["Location"].startswith("/admin/login/")
    assert not state_after(name, ready[name])


def test_a_refusal_is_shown_in_words(operator: Client, make_job: MakeJob) -> None:
    job = make_job(state="completed")
    page = operator.post(address(job.pk, "retry"), follow=True).content.decode()
    assert "is completed: only a dead letter (failed) can be retried" in page
    assert not LogEntry.objects.exists()


def test_what_is_no_dead_letter_any_more_stays_in_the_history(operator: Client, make_job: MakeJob) -> None:
    done = make_job(state="completed")
    page = operator.post(address(done.pk, "discard"), follow=True).content.decode()
    assert "it is no dead letter any more" in page
    assert Job.objects.filter(pk=done.pk).exists()


def test_a_job_that_is_gone_is_shown_in_words(operator: Client) -> None:
    missing = clock.new_id()
    page = operator.post(address(missing, "cancel"), follow=True).content.decode()
    assert f"Job {missing} is not known" in page


@pytest.mark.parametrize("name", BUTTONS)
def test_an_action_works_on_what_is_ticked_and_fits(operator: Client, make_job: MakeJob, name: str) -> None:
    later = clock.now() + timedelta(hours=1)
    ticked = [make_job(queue=lane.name, state=BUTTONS[name], ready_at=later) for _ in range(3)]
    other = make_job(queue=lane.name, state=BUTTONS[name], ready_at=later)
    ended = make_job(state="completed")
    page = act(operator, name, *ticked, ended).content.decode()
    assert all(state_after(name, job) for job in ticked)
    assert not state_after(name, other)
    assert LogEntry.objects.count() == 3
    assert "3 jobs" in page


def test_what_an_action_could_not_do_is_said(operator: Client, make_job: MakeJob) -> None:
    make_job(queue=lane.name, state="queued", key="k")
    dead = make_job(queue=lane.name, state="failed", key="k")
    page = act(operator, "promote", dead, make_job(queue=lane.name, state="queued")).content.decode()
    assert "1 refused" in page
    dead.refresh_from_db()
    assert dead.state == "failed"


def test_one_request_works_on_a_bounded_number_and_says_so(
    operator: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "AT_ONCE", 2)
    dead = [make_job(state="failed") for _ in range(5)]
    page = act(operator, "discard", *dead).content.decode()
    assert Job.objects.filter(state="cancelled").count() == 2
    assert "run the action again for the others" in page


@pytest.mark.django_db(transaction=True)
def test_a_dead_letter_is_retried_by_a_click_and_completes(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = fail.enqueue()
    run_jobs()
    assert handle.state == "failed"
    operator.post(address(handle.id, "retry"))
    assert handle.state == "queued"
    monkeypatch.setattr(fail, "func", lambda: None)
    run_jobs()
    assert handle.state == "completed"


@pytest.mark.parametrize(("name", "paused"), [("pause", True), ("resume", False)])
def test_a_queue_is_paused_and_resumed_by_who_may(
    client_with: MakeClient, viewer: Client, name: str, paused: bool
) -> None:
    QueueState.objects.create(queue="email", paused=not paused)
    button = f"{LIST}queues/email/{name}/"
    assert viewer.post(button).status_code == 403
    client = client_with("view_job", "pause_queue")
    assert client.get(button).status_code == 405
    assert QueueState.objects.get().paused is not paused
    response = client.post(button)
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/jobs/")
    assert QueueState.objects.get().paused is paused
    assert LogEntry.objects.get().object_id == "email"


def test_pausing_a_queue_needs_the_csrf_token(client_with: MakeClient) -> None:
    strict = client_with("view_job", "pause_queue", enforce_csrf_checks=True)
    assert strict.post(f"{LIST}queues/email/pause/").status_code == 403
    assert not QueueState.objects.exists()


def test_an_unknown_queue_is_refused_in_words(operator: Client) -> None:
    page = operator.post(f"{LIST}queues/emial/pause/", follow=True).content.decode()
    assert "is not defined; queues are" in page
