"""Business events: a frozen dataclass each, announced by a Django signal, listened to by receivers.

@dataclass(frozen=True, kw_only=True)
class LeadCreated(Event):
lead_id: UUID

lead_created = EventSignal(LeadCreated)

with transaction.atomic():
lead = Lead.objects.create(...)
lead_created.announce(LeadCreated(lead_id=lead.id))
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import connections
from django.dispatch import Signal

from .. import clock, tracing
from ..conf import jobs_settings
from ..errors import InvalidEvent, NotInTransaction
from .context import EventMark, ReceiverMark, announcing, receiving
from .scope import scope_of_event


@dataclass(frozen=True, kw_only=True)
class Event:
    """The root of all events; each announcement of a fact has its own `event_id`."""

    event_id: UUID = field(default_factory=clock.new_id)


EventType = TypeVar("EventType", bound=Event)
Receiver = TypeVar("Receiver", bound=Callable[..., Any])


@dataclass(frozen=True)
class EventRow:
    """One line of the map event -> receiver -> tasks. `receiver` is None for an event nobody listens to."""

    event: type[Event]
    receiver: Callable[..., Any] | None
    starts: tuple[Any, ...]


class EventSignal(Signal, Generic[EventType]):
    """The Django signal of one event type."""

    def __init__(self, event_type: type[EventType]) -> None:
        # its own fields: those of `Event` are inherited also without the decorator
        if not (
            isinstance(event_type, type)
            and issubclass(event_type, Event)
            and "__dataclass_fields__" in vars(event_type)
        ):
            raise InvalidEvent(
                f"EventSignal({event_type!r}): expected a frozen dataclass that inherits from jobs.Event"
            )
        super().__init__()
        self.event_type = event_type
        self.rows: list[EventRow] = []
        _signals.append(self)

    def announce(self, event: EventType, sender: Any = None) -> None:
        """Send the event to its receivers, now, in the transaction of the change that it states.

        What a receiver raises goes to the caller, so that the transaction rolls back. Raises `InvalidEvent` for
        another type than the signal's, `NotInTransaction` outside `transaction.atomic()`.
        """
        if type(event) is not self.event_type:
            raise InvalidEvent(f"this signal announces {self.event_type.__name__}, not {type(event).__name__}")
        alias = jobs_settings().database
        if not connections[alias].in_atomic_block:
            raise NotInTransaction(
                f"{self.event_type.__name__} was announced outside a transaction; announce it inside the "
                f"transaction.atomic() of the change that it states, so that its jobs commit with that change"
            )
        mark = EventMark(self.event_type.__name__, event.event_id, scope_of_event(event))
        with tracing.announcing(mark.name), announcing(mark):
            self.send(sender=sender or self.event_type, event=event)


_signals: list[EventSignal[Any]] = []


def receives(signal: EventSignal[Any], *, starts: Sequence[Any] = ()) -> Callable[[Receiver], Receiver]:
    """Connect a receiver to an event's signal and declare the tasks it starts.

    A receiver is a module's function `(sender, event, **kwargs)`. Starting a task that `starts` does not name raises
    `UndeclaredStart` under `JOBS["STRICT"]` (tests) and is logged otherwise.
    """

    def connect(receiver: Receiver) -> Receiver:
        if not isinstance(signal, EventSignal):
            raise InvalidEvent(f"@receives({signal!r}): expected an EventSignal")
        if inspect.iscoroutinefunction(receiver):
            raise InvalidEvent(f"{receiver.__qualname__}: a receiver of events is a plain function, not async")
        mark = ReceiverMark(f"{receiver.__module__}.{receiver.__qualname__}", frozenset(task.name for task in starts))

        @functools.wraps(receiver)
        def marked(sender: Any, **kwargs: Any) -> Any:
            with receiving(mark):
                return receiver(sender, **kwargs)

        signal.connect(marked, weak=False, dispatch_uid=mark.name)
        signal.rows.append(EventRow(signal.event_type, receiver, tuple(starts)))
        return receiver

    return connect


def event_map() -> list[EventRow]:
    """Every event with its receivers and the tasks they start, by event name."""
    rows: list[EventRow] = []
    for signal in _signals:
        rows.extend(signal.rows or [EventRow(signal.event_type, None, ())])
    return sorted(rows, key=lambda row: row.event.__name__)
