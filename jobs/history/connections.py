"""How many connections PostgreSQL allows, and how many the worker processes can need."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connections

from ..broker import get_broker
from ..conf import jobs_settings
from ..defined import find_queue, queues
from ..models import Process, QueueState
from ..policy import AS_THE_CODE_SAYS, QueueLimits
from .limits import limits_of_row

#: Beside its threads': a worker's for the queue, for hints and for its answers, or those of any other process.
BESIDE, OF_OTHERS = 3, 2


def connections_allowed() -> tuple[int, int] | None:
    """How many the server of the jobs' database allows, and how many others hold; None: it is not PostgreSQL."""
    connection = connections[jobs_settings().database]
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::integer "
            "- current_setting('superuser_reserved_connections')::integer, (SELECT count(*) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())"
        )
        allowed, used = cursor.fetchone()
    return allowed, used


def connections_needed(limits: Mapping[str, QueueLimits]) -> int:
    """How many the processes that live can need, where these limits hold in place of those that were set."""
    alias = jobs_settings().database
    held = {state.queue: limits_of_row(state) for state in QueueState.objects.using(alias).all()} | dict(limits)
    needed = 0
    for process in Process.objects.using(alias).filter(lease_until__gt=get_broker().now()):
        worked = process.queue if process.kind == "worker" else ""
        needed += connections_of(worked, process.concurrency, held.get(worked, AS_THE_CODE_SAYS))
    return needed


def connections_of(queue: str, threads: int, limits: QueueLimits) -> int:
    """How many one process can need that works the queue, if any, with so many threads unless others were set.

    A worker needs one for each thread, and one each for the queue, for hints and to answer who asks where its jobs are;
    where tasks have breakers one for these; with isolated tasks two more for each thread and for the spare: a runner
    has one for its job and one for what the job reports.
    """
    if not queue:
        return OF_OTHERS
    threads = limits.concurrency if isinstance(limits.concurrency, int) else threads
    if queue not in queues():
        return threads + BESIDE
    isolated = any(task.isolation is not None for task in find_queue(queue).tasks.values())
    breakers = bool(find_queue(queue).policy.breakers)
    return threads + BESIDE + breakers + (2 * (threads + 1) if isolated else 0)
