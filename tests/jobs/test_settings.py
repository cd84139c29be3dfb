"""`settings.JOBS`: a wrong value is one sentence that names it."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from jobs import Queue
from jobs.checks import check_jobs
from jobs.conf import jobs_settings


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (None, "JOBS=None"),
        ("config.queues", "expected a dict"),
        ({"QUEUE": "x"}, "'QUEUE'.*did you mean 'QUEUES'"),
        ({"lease": 30}, "'lease'.*did you mean 'LEASE'"),
        ({"GRASE": 30}, "'GRASE'.*did you mean 'GRACE'"),
        ({5: 30}, r"JOBS\[5\] is not a setting; settings are"),
        ({"QUEUES": 5}, "'QUEUES'"),
        ({"NAMESPACE": 5}, "'NAMESPACE'"),
        ({"NAMESPACE": "a b"}, "JOBS_NAMESPACE"),
        ({"STRICT": "no"}, "'STRICT'"),
        ({"DATABASE": ["default"]}, "'DATABASE'"),
        ({"DATABASE": "nowhere"}, "nowhere"),
        ({"LEASE": float("nan")}, "JOBS_LEASE=nan"),
        ({"LEASE": 0.5}, "JOBS_LEASE=0.5"),
        ({"GRACE": "30"}, "JOBS_GRACE='30'"),
        ({"FAULT_POINTS": "jobs.faults.point"}, "'FAULT_POINTS'.*only tests may set it"),
    ],
)
def test_a_wrong_setting_is_refused_and_named(settings: Any, given: Any, named: str) -> None:
    settings.JOBS = given
    with pytest.raises(ImproperlyConfigured, match=named):
        jobs_settings()


def test_a_task_name_on_two_queues_is_warned_about(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Queue("settings_one"), Queue("settings_two")
    first.task(name="mail.send")(lambda: None)
    second.task(name="mail.other", aliases=("mail.send",))(lambda: None)
    module = types.ModuleType("settings_queues")
    vars(module).update(first=first, second=second)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    settings.JOBS = {"QUEUES": module.__name__}
    assert [(message.id, "settings_one, settings_two" in message.msg) for message in check_jobs()] == [
        ("jobs.W002", True)
    ]
