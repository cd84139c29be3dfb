"""`manage.py events`: the map event -> receiver -> task -> queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from jobs import Event, EventSignal, Queue, receives
from jobs.define import events as jobs_events

lane = Queue("events_lane")


@lane.task(name="events.note")
def note(text: str) -> None:
    """Takes a note."""


@dataclass(frozen=True, kw_only=True)
class SomethingHappened(Event):
    text: str


@dataclass(frozen=True, kw_only=True)
class NobodyCares(Event):
    pass


@pytest.fixture(autouse=True)
def _own_events(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only the events of this test, and none of them afterwards."""
    monkeypatch.setattr(jobs_events, "_signals", [])
    something, _nobody = EventSignal(SomethingHappened), EventSignal(NobodyCares)

    @receives(something, starts=[note])
    def take_a_note(sender: Any, event: SomethingHappened, **kwargs: Any) -> None:
        """Enqueues."""

    @receives(something)
    def only_listen(sender: Any, event: SomethingHappened, **kwargs: Any) -> None:
        """Enqueues nothing."""

    return


def say(*words: str) -> str:
    out = StringIO()
    call_command("events", *words, stdout=out)
    return out.getvalue()


def test_the_map_reads_from_the_event_to_the_queue() -> None:
    lines = [line.strip() for line in say().splitlines()]
    assert lines[:2] == ["NobodyCares", "nobody listens"]
    assert lines[2] == "SomethingHappened"
    assert lines[3].endswith("take_a_note")
    assert lines[4] == "-> events.note (events_lane)"
    assert lines[5].endswith("only_listen")
    assert lines[6] == "starts nothing"


def test_the_map_as_json_is_one_document() -> None:
    rows = json.loads(say("--json"))
    assert [row["event"] for row in rows] == ["NobodyCares", "SomethingHappened", "SomethingHappened"]
    assert rows[0]["receiver"] is None
    assert rows[1]["starts"] == [{"task": "events.note", "queue": "events_lane"}]


def test_a_project_without_events_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_events, "_signals", [])
    assert say().strip() == "no event is defined"
