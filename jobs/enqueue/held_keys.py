"""Keys of jobs that the database's own workers have, until the keeper has told the present broker of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connections

from ..broker.contract import Broker
from ..broker.database import pending
from ..broker.records import NewJob
from ..conf import jobs_settings

#: The stores and queues of which the keeper has told.
_told: set[tuple[str, str]] = set()


def holders(broker: Broker, queue: str, jobs: Sequence[NewJob]) -> Mapping[str | None, UUID]:
    """Of the keys of these jobs those that a live job of the database holds, of which the broker may not have heard.

    None where the database is away: then nobody can know.
    """
    keys = [job.key for job in jobs if job.key is not None]
    if not keys or broker.rows_are_the_queue or (broker.store, queue) in _told:
        return {}
    with suppress(DatabaseError, InterfaceError):
        held = pending.held_keys(connections[jobs_settings().database], queue, keys)
        if held is not None:
            return held
        _told.add((broker.store, queue))
    return {}
