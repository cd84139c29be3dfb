"""Events: typed, announced in the transaction of their change, and their jobs carry them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction

from jobs import Event, EventSignal, Queue, receives
from jobs.define.events import event_map
from jobs.define.task import Task
from jobs.errors import InvalidEvent, NotInTransaction, UndeclaredStart
from jobs.models import Job

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True, kw_only=True)
class DoorOpened(Event):
    door_id: int


@dataclass(frozen=True, kw_only=True)
class DoorClosed(Event):
    door_id: int


@pytest.fixture
def opened() -> EventSignal[DoorOpened]:
    return EventSignal(DoorOpened)


@pytest.fixture
def ring(queue: Queue) -> Task:
    @queue.task(name="test.ring")
    def ring(door_id: int) -> None: ...

    return ring


def listen(signal: EventSignal[Any], *starts: Task, enqueue: Task | None = None) -> None:
    @receives(signal, starts=starts)
    def receiver(sender: Any, event: DoorOpened, **kwargs: Any) -> None:
        if enqueue is not None:
            enqueue.enqueue(event.door_id)


def test_a_job_enqueued_by_a_receiver_carries_the_event(opened: EventSignal[DoorOpened], ring: Task) -> None:
    listen(opened, ring, enqueue=ring)
    event = DoorOpened(door_id=7)
    with transaction.atomic():
        opened.announce(event)
    job = Job.objects.get()
    assert (job.event, job.event_id, job.args) == ("DoorOpened", event.event_id, [7])


def test_each_announcement_has_an_id_of_its_own() -> None:
    assert DoorOpened(door_id=1).event_id != DoorOpened(door_id=1).event_id


def test_announcing_outside_a_transaction_is_refused(opened: EventSignal[DoorOpened]) -> None:
    with pytest.raises(NotInTransaction, match="DoorOpened"):
        opened.announce(DoorOpened(door_id=7))


def test_announcing_another_type_is_refused(opened: EventSignal[DoorOpened]) -> None:
    with transaction.atomic(), pytest.raises(InvalidEvent, match="not DoorClosed"):
        opened.announce(DoorClosed(door_id=7))  # type: ignore[arg-type]


def test_a_signal_for_something_that_is_no_event_is_refused() -> None:
    with pytest.raises(InvalidEvent):
        EventSignal(dict)  # type: ignore[type-var]


def test_a_receiver_that_raises_rolls_the_change_and_the_jobs_back(opened: EventSignal[DoorOpened], ring: Task) -> None:
    listen(opened, ring, enqueue=ring)

    @receives(opened)
    def broken(sender: Any, event: DoorOpened, **kwargs: Any) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"), transaction.atomic():
        opened.announce(DoorOpened(door_id=7))
    assert not Job.objects.exists()


def test_a_start_that_the_receiver_did_not_declare_is_refused(opened: EventSignal[DoorOpened], ring: Task) -> None:
    listen(opened, enqueue=ring)
    with pytest.raises(UndeclaredStart, match="test.ring"), transaction.atomic():
        opened.announce(DoorOpened(door_id=7))


def test_an_async_receiver_is_refused(opened: EventSignal[DoorOpened]) -> None:
    with pytest.raises(InvalidEvent, match="not async"):

        @receives(opened)
        async def later(sender: Any, event: DoorOpened, **kwargs: Any) -> None: ...


def test_the_map_shows_event_receiver_and_tasks(opened: EventSignal[DoorOpened], ring: Task) -> None:
    listen(opened, ring, enqueue=ring)
    assert any(row.event is DoorOpened and row.starts == (ring,) for row in event_map())


def test_after_the_announcement_jobs_carry_no_event(opened: EventSignal[DoorOpened], ring: Task) -> None:
    with transaction.atomic():
        opened.announce(DoorOpened(door_id=7))
        ring.enqueue(1)
    assert Job.objects.get().event == ""


def test_an_event_without_the_dataclass_decorator_is_refused() -> None:
    class Forgotten(Event):
        door_id: int

    with pytest.raises(InvalidEvent, match="frozen dataclass"):
        EventSignal(Forgotten)
