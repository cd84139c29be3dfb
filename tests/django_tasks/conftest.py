"""The backend of ours as the project's, and each broker below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import override_settings

from jobs.testing import run_jobs
from tests.django_tasks import tasks
from tests.each_broker import each_broker as each_broker


@pytest.fixture(autouse=True)
def backends() -> Iterator[None]:
    with override_settings(TASKS=tasks.TASKS):
        yield


@pytest.fixture
def work() -> Callable[..., int]:
    """Run what is due on the tests' queues, and what that enqueues; answers how many jobs started."""

    def run(**options: object) -> int:
        return sum(len(run_jobs(name, **options)) for name in (tasks.lane.name, tasks.other.name))

    return run
