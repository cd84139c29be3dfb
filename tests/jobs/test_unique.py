"""The keys that arguments make, and the options for a key that is held."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jobs import Queue
from jobs.define.task import Task
from jobs.errors import InvalidOption, InvalidTask
from jobs.models import Job, Throttle
from jobs.operate.erase import erase_jobs
from jobs.testing import run_jobs

pytestmark = pytest.mark.django_db(transaction=True)
LEAD = UUID(int=7)


@pytest.fixture
def sync(queue: Queue) -> Task:
    @queue.task(name="test.sync", unique=("lead_id", "weight"))
    def sync(lead_id: UUID, weight: float = 1, note: str = "", *more: str) -> str:
        return note

    return sync


def test_equal_values_make_one_key_however_they_are_given(sync: Task) -> None:
    keys = {
        sync.key_of(LEAD),
        sync.key_of(LEAD, 1.0, "a note"),
        sync.key_of(weight=1, lead_id=LEAD),
        sync.key_of(lead_id=UUID(str(LEAD).upper())),
    }
    assert keys == {f'test.sync("{LEAD}",1.0)'}
    assert sync.key_of(LEAD, 2) != sync.key_of(LEAD)
    handle = sync.enqueue(LEAD)
    assert (handle.job.key, sync.enqueue(LEAD, 1.0).created, sync.enqueue(LEAD, 2).created) == (*keys, False, True)
    assert sync.using(key="by hand").enqueue(LEAD).created


def test_long_key_is_a_hash_and_one_of_personal_values_a_secret_one(queue: Queue, settings: object) -> None:
    @queue.task(name="test.mail", unique=("to", "text"), personal=("to",))
    def mail(to: str, text: str) -> None: ...

    @queue.task(name="test.long", unique=("text",))
    def long(text: str) -> None: ...

    keys = [
        long.key_of("x" * 300),
        long.key_of("x" * 301),
        mail.key_of("ada@example.org", "a"),
    ]
    assert len({*keys}) == 3
    assert all(key is not None and len(key) <= 200 and "#" in key and "ada" not in key for key in keys)
    assert mail.key_of("ada@example.org", "a") == keys[2]
    settings.SECRET_KEY = "another"
    assert mail.key_of("ada@example.org", "a") != keys[2]
    assert long.key_of("x" * 300) == keys[0]


@pytest.mark.parametrize("unique", ["lead_id", (), ("nobody",), ("lead_id", "lead_id"), ("more",), 7])
def test_wrong_unique_is_refused_and_names_the_task(queue: Queue, unique: object) -> None:
    with pytest.raises(InvalidTask, match=r"test\.wrong: unique="):

        @queue.task(name="test.wrong", unique=unique)
        def wrong(lead_id: int, *more: int) -> None: ...


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"throttle": 60}, "throttle=: whose"),
        ({"rerun": True}, "rerun=: whose"),
        ({"key": "k", "throttle": 60, "debounce": 5}, "throttle= and debounce="),
        ({"key": "k", "replace": True, "rerun": True}, "replace= and rerun="),
        ({"key": "k", "throttle": 0}, "throttle=0"),
        ({"key": "k", "throttle": True}, "throttle=True"),
        ({"key": "k", "debounce": -1}, "debounce=-1"),
        ({"key": "k", "debounce": timedelta(days=366)}, "debounce="),
        ({"key": "k", "replace": 1}, "replace=1"),
        ({"key": "k", "rerun": "yes"}, "rerun='yes'"),
        ({"key": "k", "debounce": 5, "delay": 5}, "debounce=5 and delay="),
        ({"key": "k", "debounce": 5, "at": datetime(2026, 1, 1, tzinfo=UTC)}, "debounce=5 and at="),
        ({"key": "k", "debounce": 5, "expires": 5}, "debounce=5 s: it would never run"),
    ],
)
def test_options_that_make_no_sense_are_refused(queue: Queue, options: dict[str, object], named: str) -> None:
    @queue.task(name="test.plain")
    def plain() -> None: ...

    with pytest.raises(InvalidOption, match=named):
        plain.using(**options)


def test_rule_is_taken_back_or_given_anew_by_a_later_using(sync: Task) -> None:
    call = sync.using(throttle=60)
    assert call.using(throttle=5).options.rule.seconds == 5
    assert call.using(priority=1).options.rule == call.options.rule
    assert sync.using(rerun=True).using(rerun=False, throttle=5).options.rule.seconds == 5
    with pytest.raises(InvalidOption, match="throttle= and debounce="):
        call.using(debounce=5)


def test_task_that_enqueues_itself_again_runs_once_more(queue: Queue) -> None:
    seen: list[int] = []

    @queue.task(name="test.again", unique=("lead_id",))
    def again(lead_id: int, turn: int = 1) -> None:
        seen.append(turn)
        if turn == 1:
            for number in (2, 3, 4):
                again.using(rerun=True).enqueue(lead_id, number)

    again.enqueue(7)
    run_jobs(queue.name)
    assert (seen, Job.objects.filter(state="completed").count()) == ([1, 4], 2)


def test_erasing_a_person_ends_the_throttles_of_keys_that_name_them(queue: Queue) -> None:
    @queue.task(name="test.greet")
    def greet(name: str) -> None: ...

    call = greet.using(key="mail:ada@example.org", throttle=3600)
    call.enqueue("x")
    run_jobs(queue.name)
    call = greet.using(key="mail:ada@example.org:2", throttle=3600)
    call.enqueue("y")
    run_jobs(queue.name)
    Job.objects.filter(key__endswith=":2").delete()
    erase_jobs([], ["ada@example.org"])
    assert not Throttle.objects.exists()
    assert not Job.objects.filter(key__contains="ada").exists()
