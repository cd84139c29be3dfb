"""What each worker process runs, by what the broker says of it now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ..broker import get_broker
from ..errors import QueueBroken
from ..states import State
from . import lookup

#: So many jobs are looked at.
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Held:
    """A job that a worker holds since then."""

    id: UUID
    task: str
    since: datetime | None


def held_by(workers: Mapping[UUID, str]) -> Mapping[UUID, Sequence[Held]]:
    """The jobs of these workers, given with the queue of each; at most 1,000 together, the longest held first.

    Raises `BrokerAway`.
    """
    found: defaultdict[UUID, list[Held]] = defaultdict(list)
    broker = get_broker()
    if broker.rows_are_the_queue:
        rows = lookup.all_jobs().filter(state=State.ACTIVE, worker_id__in=list(workers)).order_by()
        for id, task, since, worker in rows.values_list("pk", "task", "claimed_at", "worker_id")[:MOST]:
            if worker is not None:
                found[worker].append(Held(id, task, since))
        return _in_order(found)
    left = MOST
    for queue in sorted(set(workers.values())):
        with suppress(QueueBroken):  # the status says what is wrong with it
            ids = list(_first(broker.list_active(queue), left))
            left -= len(ids)
            for job in broker.find_all(queue, ids):
                if job.state is State.ACTIVE and job.worker is not None and job.worker in workers:
                    found[job.worker].append(Held(job.id, job.task, job.claimed_at))
    return _in_order(found)


def _first(ids: Collection[UUID], most: int) -> Sequence[UUID]:
    return sorted(ids)[:most]


def _in_order(found: Mapping[UUID, list[Held]]) -> Mapping[UUID, Sequence[Held]]:
    return {worker: sorted(jobs, key=lambda job: (str(job.since or "~"), job.id)) for worker, jobs in found.items()}
