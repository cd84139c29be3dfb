"""A whole queue is taken away: what goes, what stays, who is asked, and that it can be repeated."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

import jobs
from jobs import JobHandle, Refused, UnknownQueue
from jobs.broker import get_broker
from jobs.history import live
from jobs.keep import recover, relay
from jobs.models import Attempt, Job
from jobs.operate import obliterate as room
from tests.counted import counted
from tests.each_broker import claim, redis_client
from tests.life_cycle.lane import fail, lane, note, run_jobs


def one_of_each() -> list[JobHandle]:
    handles = [fail.enqueue("bad"), note.using(key="done").enqueue("a")]
    run_jobs()
    handles += [note.using(key="k").enqueue("b"), note.using(delay=60, expires=600).enqueue("c")]
    with transaction.atomic():
        handles.append(note.enqueue("d"))
    return handles


def say(*words: str) -> str:
    out = StringIO()
    call_command("jobs", "obliterate", *words, stdout=out)
    return out.getvalue()


def refusal(*words: str) -> tuple[str, int]:
    with pytest.raises(CommandError) as caught:
        say(*words)
    return str(caught.value), caught.value.returncode


def test_nothing_of_a_queue_is_left_and_it_goes_on_empty(each_broker: str) -> None:
    one_of_each()
    assert jobs.obliterate(lane) >= 3
    assert not Job.objects.exists()
    assert not Attempt.objects.exists()
    assert not counted(lane.name)
    if each_broker == "redis":
        left = set(redis_client().keys(f"{{tests:{lane.name}}}:*"))
        assert left <= {f"{{tests:{lane.name}}}:{name}".encode() for name in ("meta", "workers", "replies")}
    recover.run()
    relay.run()
    live.hear()
    assert (jobs.counts(lane).waiting, jobs.counts(lane).paused) == (0, False)
    assert jobs.obliterate(lane) == 0
    again = note.using(key="k").enqueue("again")
    assert again.created is True
    assert run_jobs() == [again]


def test_no_key_is_left_where_nobody_works(each_broker: str) -> None:
    note.enqueue("a")
    note.using(delay=60, key="k", throttle=600).enqueue("b")
    assert jobs.obliterate(lane) == 2
    if each_broker == "redis":
        assert redis_client().keys(f"{{tests:{lane.name}}}:*") == []
    assert note.using(delay=600, key="k", throttle=600).enqueue("b").created is True
    other = note.enqueue("c")
    assert run_jobs() == [other]


def test_a_queue_with_running_jobs_is_refused_and_forced() -> None:
    note.enqueue_many([("a",), ("b",)])
    (running,) = claim(lane.name)
    with pytest.raises(Refused, match=r"life_lane: 1 job runs: the queue is paused now"):
        jobs.obliterate(lane)
    assert jobs.counts(lane).paused
    assert get_broker().holds(lane.name, running.id, running.token)
    assert jobs.obliterate(lane, force=True) >= 1
    assert not get_broker().holds(lane.name, running.id, running.token)
    assert not Job.objects.exists()


def test_what_the_keeper_brings_back_meanwhile_goes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    one_of_each()
    real, calls = room._remove_rows, []

    def with_a_keeper(queue: str, force: bool) -> int:
        calls.append(queue)
        if len(calls) < 3:
            recover.run()
            relay.run()
            note.enqueue("meanwhile")
        return real(queue, force)

    monkeypatch.setattr(room, "_remove_rows", with_a_keeper)
    jobs.obliterate(lane)
    live.hear()
    assert (jobs.counts(lane).waiting, Job.objects.count()) == (0, 0)


def test_other_queues_are_left_alone() -> None:
    other = Job.objects.count()
    note.enqueue("a")
    live.hear()
    Job.objects.update(queue="elsewhere_lane", state="completed")
    jobs.obliterate(lane)
    assert Job.objects.filter(queue="elsewhere_lane").count() == other + 1


def test_the_command_asks_for_the_queue_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    note.enqueue("a")
    assert refusal(lane.name)[1] == 2
    assert refusal(lane.name, "--json")[1] == 2
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    typed = iter(["life", lane.name])
    monkeypatch.setattr("builtins.input", lambda question: next(typed))
    assert refusal(lane.name) == ("nothing was removed", 1)
    assert jobs.counts(lane).waiting == 1
    assert say(lane.name) == "life_lane: 1 job removed\n"
    assert say(lane.name, "--yes") == "life_lane: 0 jobs removed\n"
    with pytest.raises(UnknownQueue):
        jobs.obliterate("emial")
