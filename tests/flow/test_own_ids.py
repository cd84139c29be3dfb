"""An id of the caller's own: the call can be repeated, and is one job."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections, transaction

from jobs import InvalidOption, JobFilter, Queue, clock, drain
from jobs.history import lookup
from jobs.models import Job

from .conftest import Flow

lane = Queue("own_ids", attempts=1)
bare = Queue("own_ids_bare", attempts=1, keep_completed=0)
began: list[str] = []


@lane.task(name="own_ids.note")
def note(text: str) -> str:
    began.append(text)
    return text


@bare.task(name="own_ids.bare")
def bare_note(text: str) -> None:
    began.append(text)


@lane.task(name="own_ids.other")
def other(text: str) -> None: ...


@pytest.fixture(autouse=True)
def nothing_began() -> None:
    began.clear()


def test_second_call_is_answered_with_the_first_ones_job(flow: Flow) -> None:
    id = uuid4()
    first = note.using(id=id).enqueue("a")
    assert (first.id, first.created) == (id, True)
    again = note.using(id=str(id)).enqueue("b")
    assert (again, again.created) == (first, False)
    assert flow.work(lane) == ["note"]
    after = note.using(id=id).enqueue("c")
    assert (after.id, after.created) == (id, False)
    assert flow.work(lane) == []
    assert began == ["a"]


def test_in_transactions_and_rolled_back(flow: Flow) -> None:
    id = uuid4()
    with pytest.raises(RuntimeError), transaction.atomic():
        assert note.using(id=id).enqueue("never").created
        raise RuntimeError
    with transaction.atomic():
        assert note.using(id=id).enqueue("a").created
        assert note.using(id=id).enqueue("b").created is False
    assert note.using(id=id).enqueue("c").created is False
    flow.work(lane)
    assert began == ["a"]


def test_of_many_at_once_one_is_new(flow: Flow) -> None:
    id, created, problems = uuid4(), [], []

    def enqueue(number: int) -> None:
        try:
            if number % 2:
                with transaction.atomic():
                    created.append(note.using(id=id).enqueue(str(number)).created)
            else:
                created.append(note.using(id=id).enqueue(str(number)).created)
        except BaseException as error:
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=enqueue, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert sorted(created) == [False] * 7 + [True]
    flow.work(lane)
    assert len(began) == 1


def test_with_a_key_or_a_sequence(flow: Flow) -> None:
    holder = note.using(key="k").enqueue("a")
    twin = note.using(key="k", id=uuid4()).enqueue("b")
    flow.keep()
    assert (flow.state(twin), flow.state(holder)) == ("cancelled", "queued")
    first = note.using(sequence="s", id=uuid4()).enqueue("c")
    second = note.using(sequence="s", id=uuid4()).enqueue("d")
    assert (flow.state(first), flow.state(second)) == ("queued", "blocked")


def test_id_of_another_tasks_job_is_refused(flow: Flow) -> None:
    id = uuid4()
    note.using(id=id).enqueue("a")
    with pytest.raises(InvalidOption, match="it is a job of own_ids.note"):
        other.using(id=id).enqueue("b")
    assert Job.objects.filter(pk=id).count() == 1


@pytest.mark.parametrize("wrong", ["", "seven", 7, "00000000-0000-0000-0000-000000000000"])
def test_wrong_id_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="id="):
        note.using(id=wrong)


def test_it_is_for_one_job_that_waits_for_none(flow: Flow) -> None:
    own = note.using(id=uuid4())
    for refused in (
        lambda: own.bind("a"),
        lambda: own.enqueue_many(["a"]),
        lambda: own.using(after=[uuid4()]).enqueue("a"),
    ):
        with pytest.raises(InvalidOption, match="one job that waits for none"):
            refused()


def test_id_of_a_job_of_which_nothing_is_kept_is_known_or_new_and_never_half_of_both(flow: Flow) -> None:
    id = uuid4()
    bare_note.using(id=id).enqueue("a")
    flow.work(bare)
    flow.keep()
    for name in ("b", "c"):
        again = bare_note.using(id=id).enqueue(name)
        flow.work(bare)
        flow.keep()
        assert (name in began) is again.created


@pytest.mark.parametrize("id", [UUID(int=2**128 - 1), UUID("f47ac10b-58cc-4372-a567-0e02b2c3d479"), UUID(int=7)])
def test_id_that_begins_with_no_time_hides_a_job_from_nobody(flow: Flow, id: UUID) -> None:
    note.using(id=id, delay=60).enqueue("a")
    flow.keep()
    assert flow.state(id) == "queued"
    hour, year = timedelta(hours=1), timedelta(days=365)
    ago = clock.now() - hour
    assert list(JobFilter(queue=lane, older=hour).rows(clock.now())) == []
    Job.objects.filter(pk=id).update(created_at=ago - hour)
    assert [job.pk for job in lookup.created_before(lookup.all_jobs(), ago)] == [id]
    assert list(lookup.created_before(lookup.all_jobs(), clock.now() - year)) == []
    assert list(lookup.created_since(lookup.all_jobs(), ago)) == []
    assert drain(lane, state="scheduled", older_than=hour) == 1
    assert flow.state(id) == "cancelled"
