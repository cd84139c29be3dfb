"""`Queue(group_max=)`: who enqueues hears that a group is full, and nothing of the call is enqueued."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

import jobs
from jobs import Fixed, GroupFull, Queue, clock
from jobs.errors import InvalidPolicy
from jobs.testing import run_jobs
from tests.each_broker import claim
from tests.each_broker import each_broker as each_broker

lane = Queue("full_lane", group_max=3, attempts=2, backoff=Fixed(0))
ran: list[str] = []


@lane.task(name="full.note", group="group")
def note(group: str | None, text: str) -> None:
    ran.append(text)
    if text == "fails" and ran.count(text) == 1:
        note.enqueue(group, "takes its place")
        raise ValueError("once")


@pytest.fixture(autouse=True)
def _lane_is_configured(each_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})
    ran.clear()


def waiting() -> dict[str, int]:
    return {group.name: group.waiting for group in jobs.groups(lane)}


def test_a_full_group_refuses_calls_until_some_have_started() -> None:
    note.enqueue_many([("a", "1"), ("b", "1"), ("a", "2")])
    with pytest.raises(GroupFull, match=r"group 'a' of queue 'full_lane' may have 3 jobs that wait \(group_max\)"):
        note.enqueue_many([("b", "2"), ("a", "3"), ("a", "4")])
    assert waiting() == {"a": 2, "b": 1}
    note.enqueue("a", "3")
    with pytest.raises(GroupFull):
        note.enqueue("a", "4")
    note.enqueue_many([(None, "x")] * 5)
    note.using(delay=60).enqueue("a", "later")
    with pytest.raises(GroupFull):
        note.using(at=clock.now() - timedelta(days=1)).enqueue("a", "now")
    assert [job.group for job in claim(lane.name, 2)] == ["", "a"]
    note.enqueue("a", "4")
    assert waiting() == {"a": 3, "b": 1}


def test_a_call_for_more_than_one_trip_is_taken_whole_or_not_at_all() -> None:
    calls = [(f"g{number % 500}", "x") for number in range(1_499)]
    with pytest.raises(GroupFull, match="group 'g7'"):
        note.enqueue_many([*calls, ("g7", "x")])
    assert waiting() == {}
    assert len(note.enqueue_many(calls)) == 1_499


def test_a_transaction_counts_what_it_adds_itself() -> None:
    note.enqueue("a", "1")
    with transaction.atomic():
        note.enqueue("a", "2")
        note.using(key="k").enqueue("a", "3")
        with pytest.raises(GroupFull):
            note.enqueue_many([("b", "1"), ("a", "4")])
        with pytest.raises(GroupFull):
            note.using(id=clock.new_id()).enqueue("a", "4")
    assert waiting() == {"a": 3}


def test_of_the_jobs_of_a_sequence_one_counts() -> None:
    note.using(sequence="s").enqueue_many([("a", str(number)) for number in range(5)])
    assert waiting() == {"a": 1}
    note.enqueue_many([("a", "x"), ("a", "y")])
    with pytest.raises(GroupFull):
        note.using(sequence="t").enqueue("a", "z")


def test_what_was_accepted_comes_back_into_a_full_group() -> None:
    note.enqueue_many([("a", "fails"), ("a", "2"), ("a", "3")])
    run_jobs()
    assert sorted(ran) == ["2", "3", "fails", "fails", "takes its place"]


def test_what_is_no_number_is_refused() -> None:
    for wrong in (0, "many", 1.5):
        with pytest.raises(InvalidPolicy, match="group_max="):
            Queue("full_wrong", group_max=wrong)  # type: ignore[arg-type]
