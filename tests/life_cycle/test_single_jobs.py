"""One job that waits, runs, has failed or has ended: what can be changed of it, by its handle and by `jobs`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import override_settings

import jobs
from accounts.models import User
from jobs import InvalidArguments, InvalidOption, JobHandle, Refused, UnknownJob, clock
from jobs.broker import get_broker
from jobs.history import live
from jobs.models import Attempt, Job
from jobs.operate.edit import amend
from tests.counted import counted
from tests.each_broker import claim
from tests.life_cycle.lane import fail, lane, note, ran, run_jobs


@pytest.fixture(autouse=True)
def _nothing_ran_yet() -> None:
    ran.clear()


@pytest.fixture
def user() -> User:
    return User.objects.create_user("olga@example.org")


def dead_letter(name: str = "bad") -> JobHandle:
    handle = fail.enqueue(name)
    run_jobs()
    assert handle.state == "failed"
    return handle


def row_of(handle: JobHandle) -> Job:
    """What the history says, once it has heard all."""
    live.hear()
    return Job.objects.get(pk=handle.id)


def words(handle: JobHandle) -> dict[str, str]:
    """What the handle answers to each change of it."""
    return {
        "reschedule": handle.reschedule(delay=60),
        "set_priority": handle.set_priority(1),
        "edit": handle.edit(name="b"),
        "promote": handle.promote(),
    }


def test_a_job_that_waits_is_put_off_and_brought_forward() -> None:
    handle = note.enqueue("a")
    assert handle.reschedule(delay=timedelta(hours=1)) == "changed"
    assert (handle.shown_state, run_jobs()) == ("scheduled", [])
    assert handle.reschedule(at=clock.now() - timedelta(days=1)) == "changed"
    assert run_jobs() == [handle]


def test_a_job_is_promoted_by_its_handle() -> None:
    handle = note.using(delay=3_600).enqueue("a")
    assert (handle.promote(), handle.promote()) == ("changed", "due")
    assert run_jobs() == [handle]
    assert handle.promote() == "ended"


def test_priority_decides_who_starts_first() -> None:
    first, second = note.enqueue("first"), note.enqueue("second")
    assert second.set_priority(1) == "changed"
    assert (first.job.priority, second.job.priority) == (5, 1)
    run_jobs()
    assert [name for name, _number in ran] == ["second", "first"]


def test_arguments_that_are_not_named_stay_as_they_were() -> None:
    person = uuid4()
    handle = note.enqueue("a", 7, secret="s3cret", person=person)
    assert handle.edit(name="b") == "changed"
    assert handle.edit(number=8) == "changed"
    assert note.signature.decode(handle.job.message) == (("b", 8), {"secret": "s3cret", "person": person})
    run_jobs()
    assert ran == [("b", 8)]


def test_arguments_are_checked_like_those_of_a_call() -> None:
    handle = note.enqueue("a")
    for wrong, said in (
        ({"nmae": "b"}, "has no argument 'nmae' that can be named; it takes: name, number, secret, person"),
        ({"number": "many"}, "argument number='many'"),
        ({"secret": 5}, r"argument secret=\*\*\*"),
        ({}, "by their names"),
    ):
        with pytest.raises(InvalidArguments, match=said):
            handle.edit(**wrong)
    assert handle.args == ["a"]


def test_nothing_of_a_running_job_is_changed() -> None:
    handle = note.enqueue("a")
    (claimed,) = claim(lane.name)
    before = get_broker().find(lane.name, handle.id)
    assert set(words(handle).values()) == {"active"}
    assert get_broker().find(lane.name, handle.id) == before
    assert claimed.message == handle.job.message
    for act in (lambda: jobs.reschedule(handle, delay=1), lambda: jobs.set_priority(handle, 1)):
        with pytest.raises(Refused, match="is active: what runs cannot be changed"):
            act()
    with pytest.raises(Refused, match="is active: only a dead letter"):
        jobs.discard(handle)


def test_nothing_of_an_ended_job_is_changed() -> None:
    handle = note.enqueue("a")
    run_jobs()
    assert set(words(handle).values()) == {"ended"}
    with pytest.raises(Refused, match="is completed: only a job that waits"):
        jobs.edit(handle, {"name": "b"})
    for act in (lambda: jobs.reschedule(uuid4(), delay=1), lambda: jobs.discard(uuid4())):
        with pytest.raises(UnknownJob):
            act()


@pytest.mark.parametrize(
    "wrong",
    [{}, {"delay": 1, "at": datetime(2030, 1, 1, tzinfo=UTC)}, {"delay": -1}, {"at": datetime(2030, 1, 1)}],  # noqa: DTZ001
)
def test_a_wrong_time_is_refused(wrong: dict[str, object]) -> None:
    handle = note.enqueue("a")
    before = handle.job.ready_at
    with pytest.raises(InvalidOption):
        handle.reschedule(**wrong)  # type: ignore[arg-type]
    assert handle.job.ready_at == before
    for priority in (0, 11, "1", True, None):
        with pytest.raises(InvalidOption, match="from 1"):
            handle.set_priority(priority)  # type: ignore[arg-type]


def test_a_job_is_not_put_off_until_it_has_expired() -> None:
    handle = note.using(expires=60).enqueue("a")
    with pytest.raises(InvalidOption, match="it would never run"):
        jobs.reschedule(handle, delay=61)
    jobs.reschedule(handle, delay=50)


def test_history_says_what_was_changed_and_the_log_by_whom(user: User) -> None:
    handle = note.enqueue("a", secret="s3cret")
    row_of(handle)
    jobs.reschedule(handle, delay=3_600, by=user)
    jobs.set_priority(handle, 2, by=user)
    with pytest.raises(Refused, match="you may not change the personal argument 'secret'"):
        jobs.edit(handle, {"name": "b", "secret": "other"}, by=user)
    user.user_permissions.add(Permission.objects.get(codename="edit_personal_arguments"))
    jobs.edit(handle, {"name": "b", "secret": "other"}, by=User.objects.get())
    row = row_of(handle)
    assert (row.shown_state(), row.priority, row.args) == ("scheduled", 2, ["b"])
    lines = [entry.change_message for entry in LogEntry.objects.order_by("pk")]
    assert lines == ["Put off or brought forward.", "Priority 2.", "Arguments changed: name, secret."]


def test_changes_in_a_transaction_hold_after_its_commit() -> None:
    with transaction.atomic():
        plain, keyed = note.using(delay=3_600).enqueue("a"), note.using(delay=3_600, key="k").enqueue("a")
        for handle in (plain, keyed):
            assert handle.reschedule(delay=0) in ("changed", "asked")
            assert handle.edit(name=f"of {handle.id}") in ("changed", "asked")
    assert {handle.id for handle in run_jobs()} == {plain.id, keyed.id}
    assert {name for name, _number in ran} == {f"of {plain.id}", f"of {keyed.id}"}


def test_changes_in_a_transaction_that_is_rolled_back_did_not_happen() -> None:
    handle = note.enqueue("a")
    with transaction.atomic():
        handle.reschedule(delay=3_600)
        handle.edit(name="b")
        transaction.set_rollback(True)
    assert (handle.shown_state, handle.args) == ("waiting", ["a"])


def test_a_dead_letter_is_edited_and_retried() -> None:
    handle = dead_letter()
    assert handle.edit(name="good") == "changed"
    assert (handle.reschedule(delay=1), handle.set_priority(1)) == ("ended", "ended")
    handle.retry()
    run_jobs()
    assert handle.state == "completed"
    with pytest.raises(Refused, match="only a dead letter"):
        handle.retry()


def test_a_discarded_dead_letter_is_cancelled_and_never_retried(user: User) -> None:
    handle = dead_letter()
    assert jobs.discard(handle, by=user) == "discarded"
    assert (handle.state, row_of(handle).reason) == ("cancelled", "discarded by an operator")
    with pytest.raises(Refused, match="only a dead letter"):
        handle.retry()
    counted = jobs.counts(lane)
    assert (counted.failed, counted.cancelled, counted.discarded) == (1, 0, 1)
    assert LogEntry.objects.get().change_message == "Discarded."


def test_what_has_ended_is_removed_with_its_attempts_and_stays_counted() -> None:
    handle = note.enqueue("a")
    assert handle.discard() == "live"
    run_jobs()
    assert handle.discard() == "removed"
    assert not Attempt.objects.exists()
    live.hear()
    with pytest.raises(UnknownJob):
        handle.discard()
    assert counted(lane.name)["completed"] == 1


def scope_of_name(arguments: dict[str, object]) -> str:
    return str(arguments["name"])


def test_a_job_stays_whose_it_is() -> None:
    with override_settings(JOBS={"SCOPE": f"{__name__}.scope_of_name"}):
        handle = note.enqueue("org-1")
        assert handle.edit(number=5) == "changed"
        with pytest.raises(Refused, match="would belong to 'org-2'"):
            handle.edit(name="org-2")
    assert handle.args == ["org-1", 5]


def test_an_argument_that_makes_the_job_s_key_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note, "unique", ("name",))
    handle = note.enqueue("a")
    with pytest.raises(Refused, match="name makes its key"):
        handle.edit(name="b", number=1)
    assert handle.edit(number=1) == "changed"


def test_arguments_priority_and_time_change_together_or_not_at_all() -> None:
    handle, later = note.enqueue("a", 7), clock.now() + timedelta(hours=1)
    with pytest.raises(InvalidArguments):
        amend(handle, arguments={"number": "many"}, priority=1, at=later)
    assert (handle.shown_state, handle.job.priority) == ("waiting", 5)
    amend(handle, arguments={"name": "b"}, priority=1, at=later)
    assert (handle.args, handle.job.priority, handle.shown_state) == (["b", 7], 1, "scheduled")
    amend(handle, at=clock.now())
    (claimed,) = claim(lane.name)
    with pytest.raises(Refused, match="is active"):
        amend(handle, arguments={"name": "c"}, priority=2)
    assert (claimed.message, handle.job.priority) == (handle.job.message, 1)


def test_a_retry_does_not_change_it_either_but_may_change_priority_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = dead_letter()
    later = clock.now() + timedelta(hours=1)
    with monkeypatch.context() as patch:
        patch.setattr(fail, "unique", ("name",))
        with pytest.raises(Refused, match="name makes its key"):
            jobs.retry(handle, arguments={"name": "good"}, priority=1, at=later)
    assert (handle.state, handle.job.priority) == ("failed", 5)
    jobs.retry(handle, arguments={"name": "good"}, priority=1, at=later)
    assert (handle.shown_state, handle.job.priority, handle.job.ready_at) == ("scheduled", 1, later)
