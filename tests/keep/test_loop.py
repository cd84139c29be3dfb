from __future__ import annotations

import logging
import threading

import pytest
from django.db import OperationalError

from jobs import clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.errors import BrokerAway
from jobs.keep import loop, sign
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
    stop, failed, good = threading.Event(), [], []

    def fail() -> int:
        failed.append(clock.monotonic())
        if len(failed) == 4:
            stop.set()
        raise OperationalError("database is locked")

    with caplog.at_level(logging.ERROR, "jobs.keeper"):
        keep(stop, [Duty("bad", 0.02, fail), Duty("good", 0.01, lambda: good.append(1) or 0)])
    pauses = [later - earlier for earlier, later in zip(failed, failed[1:], strict=False)]
    assert all(pause >= least for pause, least in zip(pauses, (0.04, 0.08, 0.16), strict=True)), pauses
    assert len(good) > len(failed)
    assert "duty_failed duty=bad" in caplog.text


def test_duty_whose_broker_was_away_is_taken_up_within_seconds() -> None:
    def fail() -> int:
        raise BrokerAway("full")

    duty = Duty("relay", 1.0, fail)
    for _ in range(10):
        before = clock.monotonic()
        loop._run(duty)
    assert before + 5.0 <= duty.due_at <= clock.monotonic() + 5.0


def test_duties_are_all_that_the_keeper_has() -> None:
    assert [duty.name for duty in duties()] == [
        "reap",
        "take_over",
        "recover",
        "relay",
        "merge",
        "unblock",
        "rewind",
        "see",
        "tick",
        "operations",
        "sweep",
        "prune",
        "causes",
        "upkeep",
        "limits",
    ]


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
