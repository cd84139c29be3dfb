"""The small forms on the page of a job that waits: by POST, with a permission, each with a line in the admin's log."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from jobs import clock
from jobs.models import Job

from .conftest import MakeClient, MakeJob, address

FORMS = {"reschedule": {"minutes": "90"}, "priority": {"priority": "2"}}


@pytest.fixture
def waiting(make_job: MakeJob) -> Job:
    return make_job(queue="email", state="queued", ready_at=clock.now() + timedelta(hours=1))


def test_a_job_is_put_off_and_moved_up_and_that_is_logged(operator: Client, waiting: Job) -> None:
    shown = operator.get(address(waiting.pk)).content.decode()
    for name, data in FORMS.items():
        assert address(waiting.pk, name) in shown
        assert operator.post(address(waiting.pk, name), data).headers["Location"] == address(waiting.pk)
    waiting.refresh_from_db()
    assert abs(waiting.ready_at - clock.now() - timedelta(minutes=90)) < timedelta(minutes=1)
    assert waiting.priority == 2
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize("name", FORMS)
def test_without_the_permission_by_get_or_without_csrf_nothing_changes(
    viewer: Client, client_with: MakeClient, waiting: Job, name: str
) -> None:
    assert address(waiting.pk, name) not in viewer.get(address(waiting.pk)).content.decode()
    assert viewer.post(address(waiting.pk, name), FORMS[name]).status_code == 403
    assert client_with("promote_job").get(address(waiting.pk, name)).status_code == 405
    strict = client_with("promote_job", "view_job", enforce_csrf_checks=True)
    assert strict.post(address(waiting.pk, name), FORMS[name]).status_code == 403
    before = waiting.ready_at, waiting.priority
    waiting.refresh_from_db()
    assert (waiting.ready_at, waiting.priority) == before


@pytest.mark.parametrize(
    ("name", "data"), [("reschedule", {"minutes": "-1"}), ("reschedule", {}), ("priority", {"priority": "11"})]
)
def test_a_wrong_value_is_refused_in_words(operator: Client, waiting: Job, name: str, data: dict[str, str]) -> None:
    answer = operator.post(address(waiting.pk, name), data, follow=True)
    assert b"errorlist" not in answer.content
    assert b'class="error"' in answer.content
    assert not LogEntry.objects.exists()


def test_a_job_that_has_ended_has_no_such_forms_and_refuses_them(operator: Client, make_job: MakeJob) -> None:
    done = make_job(queue="email", state="completed")
    assert address(done.pk, "priority") not in operator.get(address(done.pk)).content.decode()
    answer = operator.post(address(done.pk, "priority"), FORMS["priority"], follow=True)
    assert "only a job that waits can be changed" in answer.content.decode()
