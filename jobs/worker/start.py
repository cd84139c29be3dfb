"""What must be right before a supervisor starts; each answer is one sentence."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from django.core.checks import ERROR
from django.db import Error as DatabaseFailure
from django.db import connections
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.executor import MigrationExecutor

from ..broker import get_broker
from ..broker.records import WorkerRecord
from ..checks import check_jobs
from ..conf import jobs_settings
from ..errors import JobsError
from ..queue import find_queue, queues
from .children import Post

logger = logging.getLogger("jobs.supervisor")

MOST_THREADS, MOST_PROCESSES = 1_000, 64


class CannotStart(JobsError):
    """The supervisor must not start; the message says why and what to do."""


class DatabaseAway(CannotStart):
    """The database does not answer, or is locked: a later start may succeed."""


def plan(names: Sequence[str], concurrency: Sequence[str], processes: Sequence[str]) -> list[Post]:
    """The posts that the options ask for: all queues, or those named. Raises `UnknownQueue` and `CannotStart`."""
    chosen = {name: find_queue(name) for name in names} or queues()
    threads = _numbers("--concurrency", concurrency, chosen, MOST_THREADS)
    numbers = _numbers("--processes", processes, chosen, MOST_PROCESSES)
    posts = [
        Post("worker", name, number, threads.get(name, queue.policy.concurrency))
        for name, queue in chosen.items()
        for number in range(1, numbers.get(name, 1) + 1)
    ]
    return [*posts, Post("keeper")]


def check_configuration() -> None:
    """Raise `CannotStart` with the first error of the engine's system checks."""
    for message in check_jobs():
        if message.level >= ERROR:
            raise CannotStart(str(message.msg))


def check_database(own: WorkerRecord) -> None:
    """Raise `CannotStart` unless the jobs' database is migrated, and `DatabaseAway` unless it can be written to."""
    alias = jobs_settings().database
    connection = connections[alias]
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            first = missing[0][0]
            raise CannotStart(
                f"{len(missing)} migration(s) are missing in database {alias!r}, first {first.app_label}.{first.name}: "
                "run `manage.py migrate`"
            )
        get_broker().register(own, jobs_settings().lease)
    except (DatabaseFailure, MigrationSchemaMissing) as error:
        text = " ".join(str(error).split())
        if "locked" in text or "busy" in text:
            raise DatabaseAway(
                f"database {alias!r} has been locked by another process for too long ({text}): end that process, or "
                "wait until it is done"
            ) from error
        raise DatabaseAway(
            f"database {alias!r} cannot be used ({text}): check DATABASE_URL and that the database runs"
        ) from error
    finally:
        connection.close()


def check_connections(posts: Sequence[Post]) -> None:
    """Raise `CannotStart` where PostgreSQL allows fewer connections than these posts need; warn if others hold them.

    A worker needs one for each thread, and one each for the queue and for hints.
    """
    connection = connections[jobs_settings().database]
    if connection.vendor != "postgresql":
        return
    needed = sum(post.threads + 2 if post.kind == "worker" else 2 for post in posts) + 2
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::integer "
            "- current_setting('superuser_reserved_connections')::integer, "
            "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())"
        )
        allowed, used = cursor.fetchone()
    connection.close()
    advice = "raise max_connections, or give the queues less --concurrency and --processes"
    if needed > allowed:
        raise CannotStart(
            f"these workers can need {needed} connections, and PostgreSQL allows {allowed} (max_connections, without "
            f"the reserved ones): {advice}"
        )
    if needed > allowed - used:
        logger.warning(
            "few_connections needed=%d allowed=%d in_use=%d: %s before they run out", needed, allowed, used, advice
        )


def _numbers(option: str, given: Sequence[str], known: Mapping[str, object], most: int) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not (value.isascii() and value.isdigit()) or not 1 <= int(value) <= most:
            raise CannotStart(f"{option} {text}: expected NAME=N with N from 1 to {most:,}, for example email=4")
        find_queue(name)
        if name not in known:
            raise CannotStart(f"{option} {text}: queue {name!r} is not worked on here; add --queue {name}")
        numbers[name] = int(value)
    return numbers
