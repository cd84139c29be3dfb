"""Whose a job is: what JOBS["SCOPE"] answers; else whose the event is, or the job that enqueues it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import override_settings

from jobs import Event, EventSignal, Queue, current_job, receives
from jobs.errors import InvalidOption
from jobs.models import Job
from jobs.testing import run_jobs

pytestmark = pytest.mark.django_db
HERE = "tests.jobs.test_scope."
lane = Queue("scope_lane")
looked: list[object] = []


@dataclass(frozen=True, kw_only=True)
class Joined(Event):
    organization_id: int


joined = EventSignal(Joined)


def of_organization(arguments):
    return arguments.get("organization_id")


def by_a_look(arguments):
    looked.append(arguments)
    return arguments.get("organization_id") or (lambda: f"looked up {arguments['number']}")


def too_long(arguments):
    return "x" * 101


@lane.task()
def child() -> str:
    return current_job().scope


@lane.task()
def work(number: int, organization_id: int | None = None) -> str:
    child.enqueue()
    return current_job().scope


@lane.task()
def look(number: int, organization_id: int | None = None) -> None:
    """Asks nobody."""


@receives(joined, starts=[child, look])
def on_joined(sender, event, **kwargs) -> None:
    child.enqueue()
    look.enqueue(1)
    look.enqueue(1, 9)


def scoped(name):
    return override_settings(JOBS={"QUEUES": "config.queues", "SCOPE": HERE + name})


@scoped("of_organization")
def test_a_call_is_asked_whose_it_is_by_the_names_of_its_arguments() -> None:
    assert work.enqueue(1, 7).job.scope == "7"
    assert work.enqueue(1, organization_id=8).job.scope == "8"
    assert work.enqueue(1).job.scope == ""


@scoped("of_organization")
def test_a_job_that_names_nobody_is_whose_the_job_is_that_enqueued_it() -> None:
    handle = work.enqueue(1, 7)
    first, second = run_jobs("scope_lane")
    assert (first.id, first.job.result, second.job.result) == (handle.id, '"7"', '"7"')
    assert second.job.scope == "7"


@scoped("of_organization")
def test_a_job_that_names_nobody_is_whose_the_event_is() -> None:
    with transaction.atomic():
        joined.announce(Joined(organization_id=7))
    scopes = sorted((job.task.rpartition(".")[2], job.scope) for job in Job.objects.exclude(event=""))
    assert scopes == [("child", "7"), ("look", "7"), ("look", "9")]


@scoped("by_a_look")
def test_a_function_that_is_answered_is_called_only_if_neither_event_nor_job_tells() -> None:
    assert look.enqueue(1).job.scope == "looked up 1"
    assert look.enqueue(1, 9).job.scope == "9"
    with transaction.atomic():
        joined.announce(Joined(organization_id=7))
    assert {job.scope for job in Job.objects.exclude(event="")} == {"7", "9"}


@override_settings(JOBS={"QUEUES": "config.queues"})
def test_without_the_setting_nobody_is_asked() -> None:
    assert work.enqueue(1, 7).job.scope == ""


def test_an_answer_that_cannot_be_stored_is_refused() -> None:
    with scoped("too_long"), pytest.raises(InvalidOption, match="at most 100"):
        work.enqueue(1)


def test_a_setting_that_names_nothing_is_told() -> None:
    with scoped("nobody"), pytest.raises(ImproperlyConfigured, match="cannot be imported"):
        work.enqueue(1)
