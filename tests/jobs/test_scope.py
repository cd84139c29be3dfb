"""Whose a job is: what JOBS["SCOPE"] answers, or whose the job is that enqueues it."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from jobs import Queue, current_job
from jobs.errors import InvalidOption
from jobs.testing import run_jobs

pytestmark = pytest.mark.django_db
HERE = "tests.jobs.test_scope."
lane = Queue("scope_lane")


def of_organization(arguments):
    return arguments.get("organization_id")


def too_long(arguments):
    return "x" * 101


@lane.task()
def child() -> str:
    return current_job().scope


@lane.task()
def work(number: int, organization_id: int | None = None) -> str:
    child.enqueue()
    return current_job().scope


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


def test_without_the_setting_nobody_is_asked() -> None:
    assert work.enqueue(1, 7).job.scope == ""


def test_an_answer_that_cannot_be_stored_is_refused() -> None:
    with scoped("too_long"), pytest.raises(InvalidOption, match="at most 100"):
        work.enqueue(1)


def test_a_setting_that_names_nothing_is_told() -> None:
    with scoped("nobody"), pytest.raises(ImproperlyConfigured, match="cannot be imported"):
        work.enqueue(1)
