"""A benchmark's own worker: known to the broker, and able to hear that another process has something to say."""

from __future__ import annotations

import os
import select
from typing import IO, TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from jobs.broker.database.shared import SharedBroker
    from jobs.policy import QueuePolicy


def registered(queue: str, alias: str = "default") -> tuple[SharedBroker, QueuePolicy, UUID]:
    """A broker of its own, a policy without limits, and the id of a worker whose lease outlasts every benchmark."""
    from jobs import clock
    from jobs.broker.database.broker import DatabaseBroker
    from jobs.broker.records import ProcessRecord
    from jobs.policy import QueuePolicy

    broker, id = DatabaseBroker(alias), clock.new_id()
    broker.register(ProcessRecord(id, "worker", queue, "bench", os.getpid()), 86_400)
    return broker, QueuePolicy(queue), id


def has_line(stream: IO[str]) -> bool:
    """Whether the stream can be read without waiting."""
    return bool(select.select([stream], [], [], 0)[0])
