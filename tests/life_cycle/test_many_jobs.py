"""All jobs that a filter means: tags and groups, pieces, pace, an end by Ctrl-C, and the same again."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

import jobs
from accounts.models import User
from jobs import InvalidOption, JobFilter, JobHandle, UnknownQueue, UnknownTask, act_on, clock
from jobs.broker import get_broker
from jobs.errors import BrokerAway
from jobs.history import live
from jobs.models import Job
from jobs.operate import by_filter, operations
from tests.each_broker import claim
from tests.life_cycle.lane import fail, lane, note, run_jobs

IMPORT = JobFilter(tag="import:42")


def many(number: int, **options: Any) -> list[JobHandle]:
    return note.using(**{"tags": ["import:42"], **options}).enqueue_many([(str(i),) for i in range(number)])


def document(*words: str) -> Any:
    out = StringIO()
    call_command("jobs", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def refusal(*words: str) -> tuple[str, int]:
    with pytest.raises(CommandError) as caught:
        call_command("jobs", *words, stdout=StringIO())
    return str(caught.value), caught.value.returncode


def states(handles: list[JobHandle]) -> list[str]:
    return [handle.state for handle in handles]


def test_tags_and_group_travel_with_the_job_to_its_worker_and_its_row() -> None:
    handle = note.using(tags=["import:42", "nightly", "import:42"], group="org-7").enqueue("a")
    (claimed,) = claim(lane.name)
    assert (claimed.tags, claimed.group) == (("import:42", "nightly"), "org-7")
    assert json.loads(handle.job.tags) == ["import:42", "nightly"]
    assert handle.job.group == "org-7"


@pytest.mark.parametrize(
    "wrong",
    [
        {"tags": "import"},
        {"tags": [""]},
        {"tags": [5]},
        {"tags": ['a"b']},
        {"tags": ["a\\b"]},
        {"tags": ["a\nb"]},
        {"tags": ["x" * 101]},
        {"tags": [str(i) for i in range(11)]},
        {"tags": [f"{i}{'x' * 90}" for i in range(9)]},
        {"tags": 5},
        {"group": ""},
        {"group": "x" * 101},
        {"group": 7},
        {"group": "a\0"},
    ],
)
def test_wrong_tags_and_groups_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match="tag|group"):
        note.using(**wrong)


def test_a_filter_means_exactly_these_jobs() -> None:
    other = note.using(tags=["import:421", "IMPORT:42"]).enqueue("other")
    plain, grouped = note.enqueue("plain"), note.using(group="org-7").enqueue("grouped")
    mine = many(3)
    assert act_on("cancel", IMPORT).done == 3
    assert (set(states(mine)), states([other, plain, grouped])) == ({"cancelled"}, ["queued"] * 3)
    assert act_on("cancel", JobFilter(group="org-7", queue=lane, task=note, state="waiting")).done == 1
    assert states([other, plain, grouped]) == ["queued", "queued", "cancelled"]
    assert act_on("cancel", JobFilter(queue=lane, older=timedelta(hours=1))).total == 0


@pytest.mark.parametrize(
    "wrong", [{}, {"state": "failed"}, {"tag": "x", "state": "odd"}, {"tag": 'a"'}, {"tag": "x", "older": 5}]
)
def test_a_filter_that_means_everything_or_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        JobFilter(**wrong)


def test_what_cannot_be_done_is_refused_before_anything_is() -> None:
    handles = many(2)
    for verb, given in (("explode", {}), ("cancel", {"pace": 0}), ("cancel", {"limit": 0}), ("cancel", {"pace": True})):
        with pytest.raises(InvalidOption):
            act_on(verb, IMPORT, **given)
    with pytest.raises(UnknownQueue):
        act_on("cancel", JobFilter(queue="emial"))
    with pytest.raises(UnknownTask):
        act_on("cancel", JobFilter(task="life.nothing"))
    assert states(handles) == ["queued", "queued"]


def test_jobs_are_put_off_moved_up_and_promoted_by_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_filter, "CHUNK", 2)
    handles = many(5)
    assert act_on("reschedule", IMPORT, delay=3_600).done == 5
    assert act_on("set_priority", IMPORT, priority=2, limit=3).done == 3
    assert [handle.job.priority for handle in handles] == [2, 2, 2, 5, 5]
    assert run_jobs() == []
    assert act_on("promote", IMPORT, dry_run=True).total == 5
    assert act_on("promote", IMPORT).done == 5
    assert len(run_jobs()) == 5


def test_dead_letters_are_retried_and_discarded_by_filter() -> None:
    handles = fail.using(tags=["import:42"]).enqueue_many([("bad",)] * 3)
    run_jobs()
    assert act_on("retry", IMPORT, limit=1).done == 1
    run_jobs()
    seen = act_on("discard", IMPORT)
    assert (seen.done, set(states(handles))) == (3, {"cancelled"})
    assert act_on("discard", JobFilter(tag="import:42", state="cancelled")).done == 3
    live.hear()
    assert not Job.objects.exists()


def test_what_runs_is_asked_to_cancel_and_what_is_refused_is_counted() -> None:
    handles = many(3)
    (running,) = claim(lane.name)
    seen = act_on("reschedule", JobFilter(queue=lane), delay=60)
    assert (seen.done + seen.refused, seen.done) == (3 if seen.refused else 2, 2)
    assert act_on("cancel", IMPORT).done == 3
    assert sorted(states(handles)) == ["active", "cancelled", "cancelled"]
    assert get_broker().find(lane.name, running.id).cancel_requested  # type: ignore[union-attr]


def test_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waits = [0.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    handles = many(7)
    monkeypatch.setattr(by_filter.clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(by_filter.time, "sleep", sleep)
    done: list[int] = []
    act_on("promote", IMPORT, pace=3)
    act_on("reschedule", IMPORT, delay=60, pace=3, progress=lambda seen: done.append(seen.done))
    monkeypatch.undo()
    assert done == [3, 6, 7]
    assert sum(waits) == pytest.approx(7 / 3)
    assert {handle.shown_state for handle in handles} == {"scheduled"}


def test_what_was_broken_off_is_done_by_the_same_command_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_filter, "CHUNK", 2)
    handles, pieces = many(5), []

    def interrupted(self: Any, seen: jobs.Progress) -> None:
        self.seen = seen
        pieces.append(seen.done)
        if len(pieces) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jobs.management.actions.chosen._Teller.hear", interrupted)
        assert refusal("cancel", "--tag", "import:42") == (
            "stopped after 4 of 5 jobs: the same command does the rest",
            1,
        )
    assert states(handles) == ["cancelled"] * 4 + ["queued"]
    assert document("cancel", "--tag", "import:42")["done"] == 1


def test_a_broker_that_goes_away_in_between_is_told_with_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_filter, "CHUNK", 1)
    many(3)
    real, calls = by_filter.VERBS["reschedule"], []

    def away(*args: Any, **given: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise BrokerAway("gone")
        real[0](*args, **given)

    monkeypatch.setitem(by_filter.VERBS, "reschedule", (away, *real[1:]))
    sentence, code = refusal("reschedule", "--tag", "import:42", "--delay", "60")
    assert (sentence, code) == ("stopped after 1 of 3 jobs: gone; the same command does the rest", 1)


def test_jobs_that_come_meanwhile_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_filter, "CHUNK", 1)
    many(2)
    late: list[JobHandle] = []

    def another(seen: jobs.Progress) -> None:
        late.extend(many(1))
        live.hear()
        if len(late) > 5:
            raise AssertionError("it never ends")

    assert act_on("cancel", IMPORT, progress=another).done == 2
    assert states(late) == ["queued", "queued"]


def test_commands_take_a_filter_in_place_of_ids() -> None:
    many(2, delay=60)
    assert document("promote", "--tag", "import:42", "--dry-run") == {
        "action": "promote",
        "dry_run": True,
        "total": 2,
        "done": 0,
        "refused": 0,
        "first_refusal": "",
    }
    assert document("priority", "--to", "1", "--queue", lane.name, "--state", "scheduled")["done"] == 2
    out = StringIO()
    call_command("jobs", "cancel", "--task", note.name, stdout=out)
    assert out.getvalue() == "2 jobs: cancelled\n"
    for wrong in (["cancel"], ["cancel", "--state", "failed"], ["cancel", str(clock.new_id()), "--queue", lane.name]):
        assert refusal(*wrong)[1] == 2
    assert refusal("cancel", str(clock.new_id()), "--pace", "5")[1] == 2


def test_an_operation_of_the_admin_is_worked_off_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "PIECE", 2)
    boss = User.objects.create_superuser("boss@example.org")
    waiting, dead = many(3, delay=3_600), fail.enqueue_many([("bad",)] * 3)
    run_jobs()
    for verb, number in (("cancel", 3), ("retry", 3)):
        operation = operations.begin(verb, operations.Listed(queue=lane.name), boss)
        assert operation is not None
        rounds = iter([True] * 3)
        assert operations.work(lambda rounds=rounds: next(rounds, False)) == number  # type: ignore[misc]
        operation.refresh_from_db()
        assert (operation.total, operation.done, operation.ended_at is None) == (number, number, False)
    assert (set(states(waiting)), set(states(dead))) == ({"cancelled"}, {"queued"})
