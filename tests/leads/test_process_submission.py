"""What came in becomes a lead, whatever becomes of the request that brought it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership
from emails.models import EmailMessage
from jobs.testing import JobsRunner
from leads import findings, receivers
from leads.models import Channel, Lead, Submission, SubmissionState
from leads.services import intake, process_submission, receive
from leads.services.intake import HONEYPOT
from leads.tasks import process_submission as task

from .people import make_organization, make_user

pytestmark = pytest.mark.django_db

BODY = "name=Ada&email=ada%40analytical.example&message=Hello&consent=on"
ROOT = Path(__file__).resolve().parents[2]
MINUTE = timedelta(minutes=1, seconds=1)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A bug behind an event; `undo()` mends it."""

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(receivers.services, "calculate_lead_score", fail)
    return monkeypatch


def process_jobs(jobs_runner: JobsRunner) -> list[Any]:
    return [handle for handle in jobs_runner.enqueued() if handle.job.task == task.name]


def test_job_is_stated_with_the_raw_row_and_due_in_a_minute(jobs_runner: JobsRunner) -> None:
    submission, _fresh = intake.store_submission(make_organization(), Channel.FORM, BODY)
    (handle,) = jobs_runner.enqueued()
    assert (handle.job.task, handle.args) == ("leads.process_submission", [str(submission.id)])
    assert (handle.job.about_type, handle.job.about_id) == ("leads.submission", str(submission.id))
    assert 58 <= (handle.job.ready_at - timezone.now()).total_seconds() <= 60
    assert jobs_runner.run() == []


def test_submission_whose_request_died_becomes_a_lead(jobs_runner: JobsRunner) -> None:
    submission, _fresh = intake.store_submission(make_organization(), Channel.FORM, BODY)
    jobs_runner.run(until=MINUTE)
    submission.refresh_from_db()
    assert (submission.state, submission.answer_status) == (SubmissionState.PROCESSED, 201)
    assert Lead.objects.get().message == "Hello"


def test_suspected_spam_that_could_not_be_processed_as_genuine_says_why_and_can_be_once_it_is_mended(
    broken: pytest.MonkeyPatch,
) -> None:
    submission = receive(make_organization(), Channel.FORM, f"{BODY}&{HONEYPOT}=x")
    assert (submission.state, submission.problem) == (SubmissionState.TRAPPED, "")
    submission = process_submission(submission.id, genuine=True)
    # nothing takes it for genuine by itself
    assert (submission.state, submission.problem) == (SubmissionState.TRAPPED, "RuntimeError: a bug")
    assert not Lead.objects.exists()
    broken.undo()
    submission = process_submission(submission.id, genuine=True)
    assert (submission.state, submission.problem) == (SubmissionState.PROCESSED, "")


def test_job_of_a_processed_submission_ends_quietly(jobs_runner: JobsRunner) -> None:
    receive(make_organization(), Channel.FORM, BODY)
    (handle,) = process_jobs(jobs_runner)
    jobs_runner.run(until=MINUTE)
    assert handle.result() == {"outcome": "processed"}
    assert Lead.objects.get().submissions.count() == 1
    assert task.call(Submission.objects.get().id) == {"outcome": "processed"}
    assert "LeadReturned" not in {handle.job.event for handle in jobs_runner.enqueued()}


def test_invalid_and_vanished_submissions_end_quietly(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    stored, _fresh = intake.store_submission(organization, Channel.FORM, "name=Ada")
    assert task.call(stored.id) == {"outcome": "invalid"}
    assert task.call(stored.id) == {"outcome": "invalid"}
    Submission.objects.all().delete()
    assert task.call(stored.id) == {"outcome": "gone"}


def test_failure_that_passes_is_mended_by_the_job(jobs_runner: JobsRunner, broken: pytest.MonkeyPatch) -> None:
    submission = receive(make_organization(), Channel.FORM, BODY)
    assert submission.state == SubmissionState.FAILED
    broken.undo()
    jobs_runner.run(until=MINUTE)
    submission.refresh_from_db()
    assert (submission.state, submission.problem) == (SubmissionState.PROCESSED, "")


def test_failure_that_stays_is_a_dead_letter_and_a_finding_until_somebody_processes_it(
    jobs_runner: JobsRunner, broken: pytest.MonkeyPatch, client: Client
) -> None:
    organization = make_organization()
    submission = receive(organization, Channel.FORM, BODY)
    jobs_runner.run(include_scheduled=True)
    (handle,) = process_jobs(jobs_runner)
    assert (handle.state, handle.job.attempts, handle.error) == ("failed", 3, "RuntimeError: a bug")
    # so long it may still be in work
    assert list(findings.find()) == []
    Submission.objects.update(received_at=timezone.now() - timedelta(minutes=4))
    (finding,) = findings.find()
    assert (finding.code, finding.needs_person) == ("submissions_open", True)
    assert finding.address == "/admin/leads/submission/?work=open"

    broken.undo()
    user = make_user("sam", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_submission", "process_submission"]))
    Membership.objects.create(organization=organization, user=user)
    client.force_login(user)
    again = {"action": "process_again", "_selected_action": [str(submission.pk)]}
    client.post(reverse("admin:leads_submission_changelist"), again)
    assert Submission.objects.get().state == SubmissionState.PROCESSED
    assert list(findings.find()) == []
    assert (handle.refresh().state, handle.state) == ("cancelled", "cancelled")


def test_lead_whose_submission_was_processed_again_by_staff_is_still_followed_up(
    jobs_runner: JobsRunner, broken: pytest.MonkeyPatch, admin_client: Client
) -> None:
    submission = receive(make_organization(), Channel.FORM, BODY)
    broken.undo()
    again = {"action": "process_again", "_selected_action": [str(submission.pk)]}
    admin_client.post(reverse("admin:leads_submission_changelist"), again)
    jobs_runner.run(until=timedelta(days=3, minutes=1))
    assert EmailMessage.objects.filter(kind=EmailMessage.Kind.FOLLOW_UP, state__in=["sent", "recorded"]).count() == 1


def test_dead_letter_that_is_retried_after_a_mend_makes_the_lead(
    jobs_runner: JobsRunner, broken: pytest.MonkeyPatch
) -> None:
    from jobs import retry

    receive(make_organization(), Channel.FORM, BODY)
    jobs_runner.run(include_scheduled=True)
    broken.undo()
    (handle,) = process_jobs(jobs_runner)
    retry(handle)
    jobs_runner.run()
    assert Submission.objects.get().state == SubmissionState.PROCESSED


@pytest.mark.django_db(transaction=True)
def test_process_that_is_killed_between_storing_and_processing_leaves_a_lead(jobs_runner: JobsRunner) -> None:
    """A real process, killed by SIGKILL behind the commit of the raw row."""
    make_organization()
    code = (
        "import os, signal, django; django.setup()\n"
        "from django.conf import settings; from django.db import connections\n"
        f"settings.DATABASES['default']['NAME'] = connections['default'].settings_dict['NAME'] = {database()!r}\n"
        "from leads.services import intake; from accounts.models import Organization\n"
        "intake._process = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"intake.receive(Organization.objects.get(), 'form', {BODY!r})\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.test", "PYTHONPATH": str(ROOT)}
    died = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    assert Submission.objects.get().state == SubmissionState.RECEIVED
    jobs_runner.run(until=MINUTE)
    assert Lead.objects.get().submissions.get().state == SubmissionState.PROCESSED


def database() -> str:
    return str(connection.settings_dict["NAME"])


@pytest.mark.django_db(transaction=True)
def test_job_without_its_raw_row_and_raw_row_without_its_job_are_never_stored(
    jobs_runner: JobsRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the disk is full")

    organization = make_organization()
    monkeypatch.setattr(type(task.using(delay=1)), "enqueue", fail)
    with pytest.raises(RuntimeError, match="disk"):
        receive(organization, Channel.FORM, BODY)
    assert not Submission.objects.exists()


@pytest.mark.django_db
def test_person_who_was_erased_is_not_brought_back_by_the_job(jobs_runner: JobsRunner) -> None:
    from leads.services import erase_lead

    organization = make_organization()
    receive(organization, Channel.FORM, BODY)
    intake.store_submission(organization, Channel.FORM, BODY)
    erase_lead(Lead.objects.get().pk)
    jobs_runner.run(until=timedelta(minutes=2))
    assert Lead.objects.filter(erased_at__isnull=True).count() == 0
    assert [row.body for row in Submission.objects.all()] == ["", ""]
    assert process_submission(Submission.objects.filter(lead__isnull=True).get().pk).state == SubmissionState.INVALID
