"""Deploys are marked by hand, by the command line, and by a keeper of another release; on both vendors."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command

import jobs
from accounts.models import User
from jobs import InvalidOption, clock
from jobs.conf import jobs_settings
from jobs.history.deploys import MOST, deploys_since
from jobs.models import DeployMark, Release
from jobs.operate.deploys import KEPT, forget_marks

pytestmark = pytest.mark.usefixtures("each_database")


def say(*words: str) -> str:
    out = StringIO()
    call_command("jobs", "deploy", *words, stdout=out)
    return out.getvalue()


def labels(ago: timedelta = timedelta(days=7)) -> list[str]:
    return [one.label for one in deploys_since(clock.now() - ago)]


def test_a_mark_says_what_when_and_by_whom_and_the_log_of_the_admin_too() -> None:
    user: Any = User.objects.create_user("ada@example.org")
    before = clock.now()
    mark = jobs.mark_deploy("  v1.2.3\n<script>\x00 ", by=user)
    assert (mark.label, mark.by) == ("v1.2.3 <script>\\x00", str(user.pk))
    assert before - timedelta(seconds=2) <= mark.at <= clock.now() + timedelta(seconds=2)
    assert deploys_since(before - timedelta(minutes=1)) == [mark]
    assert LogEntry.objects.get(user=user).object_repr == "v1.2.3 <script>\\x00"


def test_the_command_line_marks_and_lists() -> None:
    at = (clock.now() - timedelta(hours=2)).isoformat(timespec="seconds")
    assert json.loads(say("v1", "--at", at, "--json"))["label"] == "v1"
    assert "v2" in say("v2")
    assert [line.split()[-1] for line in say("--list").splitlines()[1:]] == ["v2", "v1"]
    assert [one["label"] for one in json.loads(say("--list", "--json"))] == ["v1", "v2"]


def test_without_a_name_it_is_the_release_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="say what was deployed"):
        say()
    monkeypatch.setattr("jobs.operate.deploys.jobs_settings", lambda: Settings(jobs_settings().database))
    assert "2026.11.2" in say()


class Settings:
    release = "2026.11.2"

    def __init__(self, database: str) -> None:
        self.database = database


@pytest.mark.parametrize(
    ("label", "at"),
    [
        ("v" * 101, None),
        ("v1", datetime(2026, 1, 1)),  # noqa: DTZ001
        ("v1", clock.now() + timedelta(hours=1)),
        ("v1", clock.now() - KEPT - timedelta(days=1)),
    ],
)
def test_a_mark_that_cannot_be_is_refused_and_not_kept(label: str, at: datetime | None) -> None:
    with pytest.raises(InvalidOption, match=r"vvv|2026|at="):
        jobs.mark_deploy(label, at=at)
    assert not DeployMark.objects.exists()


def test_a_release_that_a_keeper_saw_is_a_deploy_and_one_that_is_marked_too_is_not_told_twice() -> None:
    now = clock.now()
    Release.objects.create(name="v1", since=now - timedelta(days=2))
    Release.objects.create(name="v2", since=now - timedelta(minutes=5))
    jobs.mark_deploy("v2", at=now - timedelta(minutes=6))
    assert labels() == ["v1", "v2"]
    # the same name again, a day after: somebody went back
    jobs.mark_deploy("v1", at=now - timedelta(days=1))
    assert labels() == ["v1", "v1", "v2"]


def test_old_marks_go_and_the_latest_are_shown() -> None:
    now = clock.now()
    DeployMark.objects.create(label="old", at=now - KEPT - timedelta(minutes=1))
    DeployMark.objects.bulk_create(
        DeployMark(label=f"v{i}", at=now - timedelta(hours=1, seconds=-i)) for i in range(60)
    )
    assert forget_marks(now) == 1
    assert labels() == [f"v{i}" for i in range(60 - MOST, 60)]
