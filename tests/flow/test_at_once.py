"""Two jobs end at once, and each end is decided in a transaction of its own: one of them lets go who waits for both."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, connections

from jobs import Queue
from jobs.broker.database import edges
from jobs.states import State
from tests.faults.harness import wait_for

from .conftest import Flow

lane = Queue("flow_at_once", attempts=1)


@lane.task(name="flow.ends")
def ends() -> None:
    """Ends."""


@pytest.mark.parametrize("bench", ["postgresql"], indirect=True)  # elsewhere one decides at a time
def test_two_that_decide_at_once_do_not_both_take_the_other_end_for_open(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock of the waiting row both would, and nobody would ever come back to it."""
    awaited = [ends.enqueue(), ends.enqueue()]
    waiting = ends.using(after=awaited).enqueue()
    with monkeypatch.context() as patch:
        patch.setattr(edges, "decide", lambda *args, **options: edges.Decided())
        flow.work(lane, keeps=False)
    second = threading.Thread(target=_decide, args=(awaited[1].id,))

    def begin_the_second(name: str) -> None:
        if threading.current_thread() is not second:
            second.start()
            wait_for(lambda: not second.is_alive() or _somebody_waits_for_a_lock())

    monkeypatch.setattr(edges, "point", begin_the_second)
    first = threading.Thread(target=_decide, args=(awaited[0].id,))
    first.start()
    first.join(240)
    second.join(240)
    assert flow.state(waiting) == State.QUEUED


def _decide(id: object) -> None:
    decide: Callable[..., object] = edges.decide_now
    try:
        decide(connection, straight=True, ids=[id], rounds=1)
    finally:
        connections.close_all()


def _somebody_waits_for_a_lock() -> bool:
    with connections["default"].cursor() as cursor:
        # a transaction sees what it saw when it first looked
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])
