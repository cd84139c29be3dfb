"""What people do with the groups of a queue, in Python and on the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connections

import jobs
from jobs import InvalidOption, Queue, RateLimit, Refused, UnknownQueue
from jobs.broker import get_broker
from jobs.errors import InvalidPolicy
from jobs.models import GroupState
from jobs.testing import run_jobs
from tests.each_broker import claim
from tests.each_broker import each_broker as each_broker

lane = Queue("groups_lane")
ran: list[str] = []


@lane.task(name="groups.note")
def note(name: str) -> None:
    ran.append(name)


@lane.task(name="groups.named", group="organization")
def named(organization: str, number: int) -> None: ...


@pytest.fixture(autouse=True)
def _lane_is_configured(each_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})
    ran.clear()


def enqueue(*names: str) -> None:
    for name in names:
        note.using(group=name[0]).enqueue(name)


def say(*words: str) -> str:
    out = StringIO()
    call_command("jobs", "groups", lane.name, *words, stdout=out)
    return out.getvalue()


def document(*words: str) -> Any:
    return json.loads(say(*words, "--json"))


def test_two_who_change_one_group_for_the_first_time_at_once_both_have_their_way() -> None:
    both = threading.Barrier(2)

    def change(what: Callable[[], None]) -> None:
        both.wait(60)
        what()
        connections.close_all()

    for number in range(10):
        name = f"g{number}"
        changes = [partial(jobs.pause_group, lane, name), partial(jobs.set_group_limits, lane, name, concurrency=3)]
        threads = [threading.Thread(target=change, args=(what,)) for what in changes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        (seen,) = [one for one in jobs.groups(lane) if one.name == name]
        assert (seen.settings.paused, seen.settings.concurrency) == (True, 3)


def test_paused_group_starts_nothing_until_it_is_resumed_and_was_paused_before_its_first_job() -> None:
    jobs.pause_group(lane, "a")
    enqueue("a1", "b1")
    run_jobs()
    assert ran == ["b1"]

    jobs.resume_group(lane, "a")
    run_jobs()
    assert ran == ["b1", "a1"]
    assert not GroupState.objects.exists()
    assert not jobs.groups(lane)


def test_limits_of_a_group_stay_beside_its_pause_and_go_without_a_trace() -> None:
    jobs.set_group_limits(lane, "a", concurrency=1, rate_limit=RateLimit(5, per=60))
    jobs.pause_group(lane, "a")
    jobs.resume_group(lane, "a")
    enqueue("a1", "a2")
    assert [job.group for job in claim(lane.name, 10)] == ["a"]
    (seen,) = jobs.groups(lane)
    assert (seen.settings.concurrency, seen.settings.rate_limit) == (1, RateLimit(5, per=60))
    assert (seen.waiting, seen.active, seen.settings.paused) == (1, 1, False)

    jobs.set_group_limits(lane, "a")
    assert [job.group for job in claim(lane.name, 10)] == ["a"]
    assert not GroupState.objects.exists()


def test_a_resumed_group_is_at_no_moment_without_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs.set_group_limits(lane, "a", concurrency=1)
    jobs.pause_group(lane, "a")
    broker, told = get_broker(), []
    set_group = broker.set_group

    def note_and_set(queue: str, group: str, settings: Any, **options: Any) -> None:
        told.append(settings.concurrency)
        set_group(queue, group, settings, **options)

    monkeypatch.setattr(broker, "set_group", note_and_set)
    jobs.resume_group(lane, "a")
    assert told == [1]


@pytest.mark.parametrize("group", ["", " ", "a\x1fb", "a" * 101, None])
def test_name_that_is_none_is_refused(group: Any) -> None:
    for act in (jobs.pause_group, jobs.resume_group, jobs.set_group_limits):
        with pytest.raises(InvalidOption, match="group="):
            act(lane, group)


def test_wrong_limits_and_unknown_queues_are_refused() -> None:
    with pytest.raises(InvalidPolicy, match=r"set_group_limits\('groups_lane', 'a'\): concurrency='many'"):
        jobs.set_group_limits(lane, "a", concurrency="many")  # type: ignore[arg-type]
    with pytest.raises(InvalidPolicy, match="rate_limit="):
        jobs.set_group_limits(lane, "a", rate_limit="10/s")  # type: ignore[arg-type]
    with pytest.raises(UnknownQueue):
        jobs.groups("nowhere")


def test_argument_that_names_the_group_is_not_edited() -> None:
    handle = named.enqueue("a", 1)
    with pytest.raises(Refused, match="organization names its group"):
        jobs.edit(handle, {"organization": "b"})
    handle.edit(number=2)
    assert handle.args == ["a", 2]


def test_each_act_leaves_a_line_in_the_admins_log() -> None:
    person = get_user_model().objects.create(email="ana@example.com")
    jobs.pause_group(lane, "a", by=person)
    jobs.set_group_limits(lane, "a", concurrency=2, by=person)
    jobs.resume_group(lane, "a", by=person)
    told = LogEntry.objects.order_by("pk").values_list("object_id", "change_message")
    assert [queue for queue, _text in told] == 3 * [lane.name]
    assert [text for _queue, text in told] == [
        "Paused group a.",
        "Changed the limits of group a.",
        "Resumed group a.",
    ]


def test_command_pauses_resumes_limits_and_lists() -> None:
    enqueue("a1", "a2", "b1")
    assert say("--pause", "a") == "groups_lane: group a is paused\n"
    assert document("--limit", "b", "--concurrency", "2", "--rate-limit", "10/60") == {
        "queue": lane.name,
        "group": "b",
        "done": "limited",
    }
    first, second = document()
    assert (first["name"], first["waiting"], first["paused"], first["own_limits"]) == ("a", 2, True, False)
    assert (second["concurrency"], second["rate_limit"]) == (2, {"limit": 10, "per": 60})
    assert say().splitlines()[1:] == [
        "a      2        0      0       –            –        paused",
        "b      1        0      0       2            10/60 s",
    ]
    assert document("--after", "a") == [second]
    assert say("--resume", "a") == "groups_lane: group a goes on\n"
    assert say("--limit", "b") == "groups_lane: group b has the queue's limits\n"


def test_command_refuses_limits_without_a_group() -> None:
    with pytest.raises(CommandError, match="--limit NAME") as caught:
        say("--concurrency", "2")
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="like 10/60"):
        say("--limit", "a", "--rate-limit", "ten")
