"""Drain and clean: what they take, what they leave, and that their transactions stay short; on both vendors."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import transaction

from jobs import Fixed, Queue, clock
from jobs.broker import get_broker
from jobs.errors import UnknownQueue
from jobs.history import lookup
from jobs.models import Attempt, Job
from jobs.operate.clean import clean
from jobs.operate.drain import drain
from tests.counted import counted

from ..databases import only_by_indexes, plans_of
from ..leads.people import make_user

pytestmark = pytest.mark.usefixtures("each_database")

lane = Queue("cleaning_lane", attempts=1, backoff=Fixed(0))
LONG_AGO = timedelta(days=10)


@lane.task(name="cleaning.add")
def add(left: int) -> int:
    return left


@lane.task(name="cleaning.other")
def other() -> None: ...


@pytest.fixture(autouse=True)
def _lane_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {lane.name: lane, "email": Queue("email")}
    monkeypatch.setattr("jobs.defined.queues", lambda: known)


def states() -> dict[UUID, str]:
    return dict(Job.objects.values_list("pk", "state"))


def make(state: str, count: int = 1, ended: timedelta | None = LONG_AGO, **fields: Any) -> list[UUID]:
    """Rows as the broker leaves them; ended jobs with an attempt."""
    began = fields.get("created_at") or clock.now() - 2 * LONG_AGO
    # all of a call end at once: the id tells which goes first
    ended_at = None if ended is None else clock.now() - ended
    made = []
    for _ in range(count):
        id = UUID(int=lookup.first_id_at(began).int | (clock.new_id().int & ((1 << 64) - 1)))
        values = {"queue": lane.name, "task": add.name, "message": "{}", "created_at": began, "ready_at": began}
        job = Job.objects.create(id=id, state=state, ended_at=ended_at, **{**values, **fields})
        if ended_at is not None:
            Attempt.objects.create(job=job, outcome="failed", ended_at=ended_at)
        made.append(id)
    return sorted(made)


def every_kind() -> dict[str, UUID]:
    """A job of each kind that has not ended, and one of another queue."""
    now = clock.now()
    return {
        "waiting": add.enqueue(1).id,
        "scheduled": add.using(delay=3_600).enqueue(1).id,
        "retrying": make("queued", ended=None, attempts=1, ready_at=now + timedelta(hours=1))[0],
        "pending": make("pending", ended=None, key="k")[0],
        "active": make("active", ended=None, worker_id=clock.new_id(), key="k")[0],
        "failed": make("failed")[0],
        "elsewhere": Queue("email").task(name="cleaning.elsewhere")(_nothing).enqueue().id,
    }


def _nothing() -> None: ...


@pytest.mark.parametrize(
    ("state", "taken"),
    [
        ("waiting", {"waiting", "pending"}),
        ("scheduled", {"scheduled"}),
        ("retrying", {"retrying"}),
        ("all-queued", {"waiting", "pending", "scheduled", "retrying"}),
    ],
)
def test_drain_takes_what_waits_in_that_state_and_nothing_else(state: str, taken: set[str]) -> None:
    jobs = every_kind()
    before = states()
    assert drain(lane.name, state, dry_run=True) == len(taken)
    assert states() == before
    assert drain(lane.name, state) == len(taken)
    after = states()
    assert {name for name, id in jobs.items() if after[id] != before[id]} == taken
    assert {after[jobs[name]] for name in taken} == {"cancelled"}
    assert counted(lane.name)["cancelled"] == len(taken)


def test_drain_takes_only_the_named_tasks_jobs_and_no_more_than_its_limit() -> None:
    left = other.enqueue().id
    ids = [add.enqueue(number).id for number in range(3)]
    assert drain(lane.name, task=add.name, limit=2) == 2
    assert [states()[id] for id in (*ids, left)] == ["cancelled", "cancelled", "queued", "queued"]


def test_drain_takes_only_what_was_created_long_enough_ago() -> None:
    week = timedelta(days=7)
    ids = make("queued", 3, ended=None, created_at=clock.now() - timedelta(days=8))
    pending = make("pending", ended=None, created_at=clock.now() - timedelta(days=8))
    left = [*make("queued", 2, ended=None, created_at=clock.now() - timedelta(days=6)), add.enqueue(1).id]
    # of a machine whose clock is behind
    left += make("queued", ended=None)
    Job.objects.filter(pk=left[-1]).update(created_at=clock.now())
    assert drain(lane.name, older_than=week, dry_run=True) == 4
    assert drain(lane.name, older_than=week, limit=2) == 2
    assert [states()[id] for id in (*pending, *ids)] == ["cancelled", "cancelled", "queued", "queued"]
    assert drain(lane.name, older_than=week) == 2
    assert {states()[id] for id in (*pending, *ids)} == {"cancelled"}
    assert {states()[id] for id in left} == {"queued"}


def test_drain_of_old_jobs_looks_at_no_younger_ones(each_database: str) -> None:
    add.enqueue(1)
    make("queued", 3, ended=None)
    with only_by_indexes():
        looks = plans_of(lambda: drain(lane.name, older_than=LONG_AGO, limit=2), "jobs_job")
    bound = r"Index Cond: .*\bid (<|>=) " if each_database == "postgresql" else r"USING .*INDEX .*\bid[<>]\?"
    assert len(looks) >= 2
    assert [look for look in looks if not re.search(bound, look[1])] == []


def commits_of(act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many transactions an action makes."""
    made = 0
    enter = transaction.Atomic.__enter__

    def counted(self: transaction.Atomic) -> None:
        nonlocal made
        made += not transaction.get_connection(self.using).in_atomic_block
        enter(self)

    with monkeypatch.context() as patch:
        patch.setattr(transaction.Atomic, "__enter__", counted)
        act()
    return made


def test_drain_and_clean_go_in_chunks_of_a_transaction_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.operate.clean.CHUNK", 2)
    monkeypatch.setattr("jobs.operate.drain.CHUNK", 2)
    for number in range(5):
        add.enqueue(number)
    make("completed", 5)
    assert commits_of(lambda: drain(lane.name), monkeypatch) == 3
    assert commits_of(lambda: clean(lane.name, "completed", timedelta(0)), monkeypatch) == 3
    assert set(states().values()) == {"cancelled"}


def test_what_comes_while_a_queue_is_drained_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.operate.drain.CHUNK", 1)
    broker = get_broker()
    later: list[UUID] = []

    class Busy:
        """A queue that is filled as fast as it is drained."""

        def __getattr__(self, name: str) -> Any:
            return getattr(broker, name)

        def cancel_waiting(self, *args: Any) -> Any:
            later.append(add.enqueue(9).id)
            assert len(later) < 10, "it goes on and on"
            return broker.cancel_waiting(*args)

    monkeypatch.setattr("jobs.operate.drain.get_broker", Busy)
    add.enqueue(1)
    add.enqueue(2)
    assert drain(lane.name, "all-queued") == 2
    assert {states()[id] for id in later} == {"queued"}


def test_clean_removes_what_ended_long_enough_ago_with_its_attempts() -> None:
    old = make("failed", 3)
    young = make("failed", 1, ended=timedelta(days=6))
    others = [*make("completed"), *make("failed", queue="email"), *make("active", ended=None)]
    assert clean(lane.name, "failed", timedelta(days=7), limit=2, dry_run=True) == 2
    assert len(states()) == 7
    assert clean(lane.name, "failed", timedelta(days=7), limit=2) == 2
    assert set(states()) == {old[2], *young, *others}
    assert clean(lane.name, "failed", timedelta(days=7)) == 1
    assert set(Attempt.objects.values_list("job_id", flat=True)) == {*young, *others[:2]}


@pytest.mark.parametrize("state", ["queued", "active", "pending", "waiting"])
def test_clean_refuses_a_live_state(state: str) -> None:
    with pytest.raises(ValueError, match="only ended jobs can be removed: cancelled, completed, expired, failed"):
        clean(lane.name, state, timedelta(0))


def test_an_unknown_queue_is_refused() -> None:
    with pytest.raises(UnknownQueue, match="queues are: cleaning_lane, email"):
        drain("emial")
    with pytest.raises(UnknownQueue):
        clean("emial", "failed", timedelta(0))


def test_whoever_does_it_is_written_down() -> None:
    add.enqueue(1)
    make("failed")
    user = make_user("sam")
    drain(lane.name, by=user)
    drain(lane.name, by=user)
    clean(lane.name, "failed", timedelta(0), by=user)
    lines = LogEntry.objects.filter(user=user, object_id=lane.name).order_by("pk")
    assert [line.change_message for line in lines] == [
        "Drained: 1 job cancelled.",
        "Cleaned: 1 job removed (failed).",
    ]


def say(*words: str) -> str:
    out = StringIO()
    call_command("jobs", *words, stdout=out)
    return out.getvalue().strip()


def test_the_command_says_how_many() -> None:
    add.enqueue(1)
    make("failed", 2)
    assert say("drain", lane.name, "--dry-run") == "cleaning_lane: 1 job would be cancelled"
    make("queued", ended=None)
    assert say("drain", lane.name, "--older-than", "19d", "--dry-run") == "cleaning_lane: 1 job would be cancelled"
    assert say("drain", lane.name, "--older-than", "21d") == "cleaning_lane: 0 jobs cancelled"
    assert say("drain", lane.name, "--older-than", "19d") == "cleaning_lane: 1 job cancelled"
    assert say("drain", lane.name) == "cleaning_lane: 1 job cancelled"
    cleaned = ("clean", "--queue", lane.name, "--state", "failed", "--older-than", "7d")
    assert say(*cleaned, "--dry-run") == "cleaning_lane: 2 jobs would be removed"
    assert '"removed": 2' in say(*cleaned, "--json")
    with pytest.raises(CommandError, match="queues are") as caught:
        say("drain", "emial")
    assert caught.value.returncode == 1


def test_clean_goes_by_the_end_whenever_a_job_was_made() -> None:
    young_but_ended_long_ago = make("completed", created_at=clock.now() - timedelta(days=8), ended=timedelta(days=8))
    made_long_ago = make("completed", created_at=clock.now() - timedelta(days=90), ended=timedelta(days=1))
    ended_first = make("completed", created_at=clock.now() - timedelta(days=11), ended=timedelta(days=10))
    assert clean(lane.name, "completed", timedelta(days=7), limit=1) == 1
    assert set(states()) == {*young_but_ended_long_ago, *made_long_ago}
    assert ended_first[0] not in states()
    assert clean(lane.name, "completed", timedelta(days=7)) == 1
    assert set(states()) == set(made_long_ago)
