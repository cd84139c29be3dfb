"""`jobs.job_events` and `manage.py jobs events`: how starts ended, to follow, and to go on from after a break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from jobs import Fixed, InvalidOption, JobEvent, Queue, Refused, UnknownQueue, job_events
from jobs.broker import get_broker
from jobs.history import job_events as module
from jobs.history import live
from jobs.management.actions import events as action
from jobs.models import Attempt
from jobs.testing import run_jobs
from tests.each_broker import each_broker as each_broker

lane = Queue("events_followed", attempts=2, backoff=Fixed(60))
other = Queue("events_other")


@lane.task(name="followed.greet", personal=("name",))
def greet(name: str, fails: bool = False) -> None:
    if fails:
        raise ValueError(f"no luck for {name}")


@other.task(name="followed.other")
def do_other() -> None: ...


def run() -> None:
    run_jobs(include_scheduled=True)
    if not get_broker().rows_are_the_queue:
        live.hear_all()


def told(events: Iterator[JobEvent]) -> list[tuple[str, str, int | None, str]]:
    return [(event.task, event.outcome, event.attempt, event.state) for event in events]


FAILED = [("followed.greet", "failed", 1, "failed"), ("followed.greet", "failed", 2, "failed")]
GREETED, OTHER = ("followed.greet", "completed", 1, "completed"), ("followed.other", "completed", 1, "completed")


def test_each_start_is_told_once_in_order_and_after_a_break_it_goes_on(
    each_broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    greet.enqueue("Ada")
    run()
    from_now_on = job_events(None)
    failing = greet.enqueue("Bob Builder", fails=True)
    run()
    do_other.enqueue()
    run()
    everything = list(job_events(0))
    assert told(iter(everything)) == [GREETED, *FAILED, OTHER]
    assert list(from_now_on) == everything[1:]
    for number, event in enumerate(everything, 1):
        assert list(job_events(event.id)) == everything[number:]
    assert [event.error for event in everything] == ["", *["ValueError: no luck for ***"] * 2, ""]
    assert {event.job_id for event in everything[1:3]} == {failing.id}
    assert told(job_events(0, queue=other)) == [OTHER]
    assert told(job_events(0, task=greet)) == [GREETED, *FAILED]


def test_what_comes_is_waited_for(db: None) -> None:
    events = job_events(None, wait=20)
    greet.enqueue("Ada")
    run()
    assert next(events).outcome == "completed"


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_a_lower_id_that_commits_later_is_not_passed_over(each_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    handle = greet.enqueue("Ada")
    run()
    (first,) = job_events(0)
    values = connection.get_connection_params()
    values = {name: values[name] for name in ("dbname", "host", "port", "user")}
    with psycopg.connect(**values) as late:
        late.execute(
            "INSERT INTO jobs_attempt (job_id, run, outcome, worker, ended_at, error, traceback) "
            "VALUES (%s, 1, 'lost', '', now(), '', '')",
            [handle.id],
        )
        greet.enqueue("Bob Builder")
        run()
        assert Attempt.objects.count() == 2
        assert list(job_events(first.id)) == []
        late.commit()
    assert [event.outcome for event in job_events(first.id)] == ["lost", "completed"]


def test_the_command_prints_a_line_or_a_json_object_an_event(db: None) -> None:
    handle = greet.enqueue("Ada Lovelace", fails=True)
    greet.enqueue("Bob Builder")
    run()
    out = StringIO()
    call_command("jobs", "events", "--queue", lane.name, stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0].endswith(f"followed.greet  {handle.id}  failed  ValueError: no luck for ***")
    first = json.loads(say("--json").splitlines()[0])
    assert (first["job_id"], first["outcome"], first["attempt"]) == (str(handle.id), "failed", 1)
    assert [json.loads(line)["id"] for line in say("--json", "--since", str(first["id"])).splitlines()] == [
        first["id"] + 1,
        first["id"] + 2,
    ]
    with pytest.raises(CommandError, match="expected a whole number from 0"):
        say("--since", "-1")


def say(*words: str) -> str:
    out = StringIO()
    call_command("jobs", "events", *words, stdout=out)
    return out.getvalue()


def test_follow_hands_each_event_to_its_reader_at_once_and_ends_with_ctrl_c(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    greet.enqueue("Ada")
    run()
    (event,) = job_events(0)

    class Pipe(StringIO):
        arrived = ""

        def flush(self) -> None:
            self.arrived = self.getvalue()

    out = Pipe()

    def come(since: int | None, **options: object) -> Iterator[JobEvent]:
        assert (since, options["wait"]) == (None, None)
        yield event
        assert json.loads(out.arrived)["id"] == event.id
        raise KeyboardInterrupt

    monkeypatch.setattr(action, "job_events", come)
    call_command("jobs", "events", "--follow", "--json", stdout=out)


def test_wrong_values_are_refused_where_they_are_given(transactional_db: None) -> None:
    for since in (-1, True, "5"):
        with pytest.raises(InvalidOption, match="expected the id of an event"):
            job_events(since)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="expected seconds"):
        job_events(0, wait=-1)
    with pytest.raises(UnknownQueue):
        job_events(0, queue="nowhere")
    with transaction.atomic(), pytest.raises(Refused, match="a transaction may not see all events"):
        job_events(0)
