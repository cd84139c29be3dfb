"""The relay's duty: what is left in the outbox reaches the broker, and however much it is, no other duty starves."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection

from jobs import clock
from jobs.broker.database import rows
from jobs.broker.records import NewJob
from jobs.enqueue import outbox
from jobs.keep import relay
from jobs.keep.loop import Duty, duties, keep
from jobs.models import Job
from jobs.states import State

pytestmark = pytest.mark.usefixtures("each_database")


def leave_pending(number: int, *, key: str = "") -> None:
    """Rows of transactions whose process died before it could push them."""
    jobs = [
        NewJob(
            id=clock.new_id(),
            queue="lane",
            task="app.task",
            message="{}",
            priority=5,
            key=key or None,
        )
        for _ in range(number)
    ]
    rows.insert_rows(connection, jobs, State.PENDING)
    Job.objects.update(created_at=clock.now() - timedelta(minutes=1))


def pending() -> int:
    return Job.objects.filter(state=State.PENDING).count()


def test_a_run_ends_when_its_time_is_over_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "LONGEST", 0.0)
    monkeypatch.setattr(outbox, "MOST_A_CALL", 4)
    leave_pending(10)
    assert [relay.run() for _ in range(4)] == [4, 4, 2, 0]


def test_refusals_end_when_the_time_is_over_too(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_pending(5, key="k")
    monkeypatch.setattr(relay, "LONGEST", 0.0)
    assert relay.run() == 1
    assert pending() == 4
    monkeypatch.setattr(relay, "LONGEST", 60.0)
    relay.run()
    assert pending() == 0


def test_other_duties_run_while_a_large_relay_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "LONGEST", 0.01)
    monkeypatch.setattr(outbox, "MOST_A_CALL", 25)
    leave_pending(200)
    stop, seen = threading.Event(), []

    def look() -> int:
        seen.append(pending())
        if not seen[-1] or time.monotonic() > end:
            stop.set()
        return 0

    end = time.monotonic() + 120
    relaying = next(duty for duty in duties() if duty.name == "relay")
    keep(stop, [relaying, Duty("other", 0.01, look)])
    assert seen[-1] == 0
    assert len(seen) > 3
