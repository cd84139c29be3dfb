from __future__ import annotations

import logging
import threading

import pytest
from django.db import OperationalError

from jobs import clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.keep import sign
from jobs.keep.loop import Duty, duties, keep
from jobs.models import Process

# the loop looks after the connections that other tests left open
pytestmark = pytest.mark.django_db(databases=["default", "other"])


def test_each_duty_runs_at_its_own_interval() -> None:
    stop, runs = threading.Event(), {"fast": 0, "slow": 0}

    def run(name: str) -> int:
        runs[name] += 1
        if runs["fast"] == 20:
            stop.set()
        return 0

    keep(stop, [Duty("fast", 0.01, lambda: run("fast")), Duty("slow", 60, lambda: run("slow"))])
    assert runs == {"fast": 20, "slow": 1}


def test_duty_that_found_something_to_do_comes_again_soon() -> None:
    stop, answers = threading.Event(), [5, 5, 0]

    def run() -> int:
        answer = answers.pop(0)
        if not answers:
            stop.set()
        return answer

    keep(stop, [Duty("eager", 60, run, 0.01)])
    assert answers == []


def test_duty_that_fails_is_tried_again_later_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    stop, calls = threading.Event(), {"bad": 0, "good": 0}

    def fail() -> int:
        calls["bad"] += 1
        raise OperationalError("database is locked")

    def work() -> int:
        calls["good"] += 1
        if calls["good"] == 30:
            stop.set()
        return 0

    with caplog.at_level(logging.ERROR, "jobs.keeper"):
        keep(stop, [Duty("bad", 0.02, fail), Duty("good", 0.01, work)])
    # after 40, 80, 160 ms …: the pauses grow, so there are fewer looks than at its interval
    assert 2 <= calls["bad"] <= 5
    assert "duty_failed duty=bad" in caplog.text


def test_duties_are_all_that_the_keeper_has() -> None:
    assert [duty.name for duty in duties()] == ["reap", "relay", "rewind", "tick", "prune", "upkeep", "limits"]


def test_a_keeper_signs_once_all_duties_have_run_and_not_while_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign, "INTERVAL", 0.01)
    record = ProcessRecord(clock.new_id(), "keeper", "", "here", 1)
    get_broker().register(record, 60)
    stop, seen = threading.Event(), []

    def unsure() -> int:
        seen.append(Process.objects.get(pk=record.id).duties_at)
        if seen[-1] is not None or len(seen) == 2_000:
            stop.set()
        if len(seen) <= 5:
            raise OperationalError("database is locked")
        return 0

    keep(stop, [Duty("steady", 0.01, lambda: 0), Duty("unsure", 0.01, unsure)], record.id)
    # after 20, 40, 80, 160 ms …: the signature was due many times
    assert seen[:6] == [None] * 6
    assert seen[-1] is not None
