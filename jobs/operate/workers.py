"""Workers: the processes that run jobs, and whether one of them takes more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Count
from django.utils.translation import gettext as _

from ..broker import get_broker
from ..conf import jobs_settings
from ..errors import UnknownProcess
from ..history import lookup
from ..history.processes import row_of
from ..models import Process
from ..states import State
from .audit import note
from .commit import with_broker


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """A living worker process: `busy` of its `concurrency` places run a job, its lease lasts until then.

    `trouble`: what keeps it from working; empty: nothing. `paused`: it takes no more jobs.
    """

    id: UUID
    host: str
    pid: int
    queue: str
    concurrency: int
    busy: int
    started_at: datetime
    lease_until: datetime
    paused: bool
    trouble: str


def workers() -> list[SeenWorker]:
    """The living worker processes, by queue and host. With the jobs in Redis `busy` is some seconds old."""
    alive = sorted(_alive(), key=lambda row: (row.queue, row.host, row.pid))
    active = lookup.all_jobs().filter(state=State.ACTIVE, worker_id__in=[row.pk for row in alive])
    busy = dict(active.order_by().values_list("worker_id").annotate(count=Count("pk")))
    return [
        SeenWorker(
            id=row.pk,
            host=row.host,
            pid=row.pid,
            queue=row.queue,
            concurrency=row.concurrency,
            busy=busy.get(row.pk, 0),
            started_at=row.started_at,
            lease_until=row.lease_until,
            paused=row.paused,
            trouble=row.trouble,
        )
        for row in alive
    ]


def pause_worker(process: UUID | str, by: AbstractBaseUser | None = None) -> None:
    """Let a worker process take no more jobs; what it runs, goes on. It ends with the process.

    `process` is its id, or `host:pid`. A claim that it begins after this returned takes nothing; inside a transaction
    that is so after the commit. Raises `UnknownProcess`.
    """
    _set(process, True, by)


def resume_worker(process: UUID | str, by: AbstractBaseUser | None = None) -> None:
    """Let a paused worker process take jobs again. Raises `UnknownProcess`."""
    _set(process, False, by)


def _set(process: UUID | str, paused: bool, by: AbstractBaseUser | None) -> None:
    text = str(process)
    for row in _alive():
        is_it = text in (str(row.pk), row.pk.hex, f"{row.host}:{row.pid}")
        if is_it and with_broker(partial(get_broker().pause_worker, row.queue, row.pk, paused=paused), True):
            note(by, row, _("Paused.") if paused else _("Resumed."))
            return
    raise UnknownProcess(_("no living worker process is %(process)s") % {"process": text})


def _alive() -> list[Process]:
    """The workers with a lease, by what the broker says of them now."""
    broker = get_broker()
    seen, now = broker.processes(), broker.now()
    if seen is None:
        return list(
            Process.objects.using(jobs_settings().database).filter(kind="worker", ending="", lease_until__gt=now)
        )
    return [row for row in map(row_of, seen) if row.kind == "worker" and row.lease_until > now]
