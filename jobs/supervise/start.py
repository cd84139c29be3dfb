"""What must be right before a supervisor starts; each answer is one sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from django.core.checks import ERROR
from django.db import Error as DatabaseFailure
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.executor import MigrationExecutor
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..broker import get_broker
from ..broker.contract import LEFT
from ..broker.records import ProcessRecord
from ..checks import check_in_memory, check_jobs
from ..conf import jobs_settings
from ..define.queue import Queue
from ..defined import find_queue, queues
from ..errors import BrokerAway, JobsError
from ..history import lookup
from ..history.connections import BESIDE, connections_allowed, connections_of
from ..history.limits import limits_that_were_set
from ..keep import take_over
from ..policy import AS_THE_CODE_SAYS
from ..states import LIVE
from ..work.wear import own_memory
from .children import Post

logger = logging.getLogger("jobs.supervisor")

MOST_THREADS, MOST_PROCESSES = 1_000, 64
MOST_JOBS, MOST_MEMORY = 1_000_000_000, 1_048_576


class CannotStart(JobsError):
    """The supervisor must not start; the message says why and what to do."""


class DatabaseAway(CannotStart):
    """The database does not answer, or is locked: a later start may succeed."""


def plan(
    names: Sequence[str],
    concurrency: Sequence[str],
    processes: Sequence[str],
    max_jobs: Sequence[str] = (),
    max_memory: Sequence[str] = (),
) -> list[Post]:
    """The posts that the options ask for: all queues, or those named. Raises `UnknownQueue` and `CannotStart`."""
    chosen = {name: find_queue(name) for name in names} or queues()
    threads = _numbers("--concurrency", concurrency, chosen, MOST_THREADS)
    numbers = _numbers("--processes", processes, chosen, MOST_PROCESSES)
    jobs = _numbers("--max-jobs", max_jobs, chosen, MOST_JOBS, of_all=True)
    memory = _numbers("--max-memory", max_memory, chosen, MOST_MEMORY, of_all=True)
    if memory and own_memory() is None:
        raise CannotStart(_("--max-memory: this system does not tell how large a process is (it has no /proc)"))
    _check_memory_limits(chosen.values())
    posts = [
        Post(
            *("worker", name, number, threads.get(name, queue.policy.concurrency)),
            most_jobs=jobs.get(name, 0),
            most_memory=memory.get(name, 0),
        )
        for name, queue in chosen.items()
        for number in range(1, numbers.get(name, 1) + 1)
    ]
    return [*posts, Post("keeper")]


def _check_memory_limits(chosen: Iterable[Queue]) -> None:
    for queue in chosen:
        for task in queue.tasks.values():
            if task.isolation is not None and task.isolation.memory and own_memory() is None:
                text = _(
                    "task %(task)s has memory=%(memory)d, and this system does not tell how large a process is (it has "
                    "no /proc): take the limit away, or run the queue where there is one"
                )
                raise CannotStart(text % {"task": task.name, "memory": task.isolation.memory})


def check_configuration() -> None:
    """Raise `CannotStart` with the first error of the engine's system checks."""
    for message in [*check_jobs(), *check_in_memory()]:
        if message.level >= ERROR:
            raise CannotStart(str(message.msg))


def check_database(own: ProcessRecord) -> None:
    """Raise `CannotStart` unless the jobs' database is migrated, and `DatabaseAway` unless it can be written to.

    Where the jobs are in Redis, and somebody has worked them before, a database that is away is only warned about.
    """
    alias = jobs_settings().database
    connection = connections[alias]
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            first = missing[0][0]
            text = ngettext(
                "%(count)d migration is missing in database '%(database)s', %(first)s: run `manage.py migrate`",
                "%(count)d migrations are missing in database '%(database)s', first %(first)s: run `manage.py migrate`",
                len(missing),
            )
            values = {"count": len(missing), "database": alias, "first": f"{first.app_label}.{first.name}"}
            raise CannotStart(text % values)
        _check_encoding(connection)
        get_broker().register(own, jobs_settings().lease)
        take_over.run()
        _warn_of_left_behind()
    except (BrokerAway, DatabaseFailure, MigrationSchemaMissing) as error:
        if isinstance(error, DatabaseFailure) and _starts_without_database(own):
            logger.warning("database_away %s: the jobs in Redis are worked, their history waits", _said(error))
            return
        if isinstance(error, BrokerAway) and str(error) == LEFT:
            raise CannotStart(LEFT) from error
        if isinstance(error, BrokerAway) and jobs_settings().redis_url:
            text = _("Redis cannot be used (%(error)s): check REDIS_URL and that the server runs")
            raise DatabaseAway(text % {"error": error}) from error
        said = _said(error.__cause__ if isinstance(error, BrokerAway) else error)
        if "locked" in said or "busy" in said:
            text = _(
                "database '%(database)s' has been locked by another process for too long (%(error)s): end that "
                "process, or wait until it is done"
            )
        else:
            text = _(
                "database '%(database)s' cannot be used (%(error)s): check DATABASE_URL and that the database runs"
            )
        raise DatabaseAway(text % {"database": alias, "error": said}) from error
    finally:
        connection.close()


def _starts_without_database(own: ProcessRecord) -> bool:
    """Whether the broker needs no database and knows queues: then it has been well before, and is no wrong setting."""
    if get_broker().rows_are_the_queue:
        return False
    try:
        if not get_broker().queues():
            return False
        get_broker().register(own, jobs_settings().lease)
    except BrokerAway:
        return False
    return True


def _said(error: BaseException | None) -> str:
    return " ".join(str(error).split())


def _warn_of_left_behind() -> None:
    """Tell of queues whose jobs are still in a Redis that is not the broker any more."""
    for queue in sorted(lookup.queues_left_behind()):
        waiting = lookup.all_jobs().filter(queue=queue, state__in=LIVE).count()
        logger.error(
            "left_behind queue=%s rows=%d: its jobs are in the Redis that REDIS_URL named before, and nothing of it "
            "starts here: `manage.py jobs move --from URL` brings them back; `jobs move --gone`, if that Redis is lost",
            queue,
            waiting,
        )


def _check_encoding(connection: BaseDatabaseWrapper) -> None:
    """Only UTF-8 has every letter: elsewhere one emoji in an error would lose a job's end."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        (encoding,) = cursor.fetchone()
    if encoding != "UTF8":
        text = _(
            "database '%(database)s' is encoded in %(encoding)s, which lacks most letters: move it to one made with "
            "ENCODING 'UTF8'"
        )
        raise CannotStart(text % {"database": connection.alias, "encoding": encoding})


def check_connections(posts: Sequence[Post]) -> None:
    """Raise `CannotStart` where PostgreSQL allows fewer connections than these posts need; warn if others hold them."""
    try:
        threads = {name: limits_that_were_set(name) for name in {post.queue for post in posts if post.queue}}
        found = connections_allowed()
    except DatabaseFailure:
        if get_broker().rows_are_the_queue:
            raise
        return  # `check_database` has warned
    finally:
        connections[jobs_settings().database].close()
    for post in posts:
        if post.kind == "worker" and isinstance(set_here := threads[post.queue].concurrency, int):
            _tell_of_threads(post, set_here)
    if found is None:
        return
    allowed, used = found
    needed = BESIDE + sum(
        connections_of(post.queue, post.threads, threads.get(post.queue, AS_THE_CODE_SAYS)) for post in posts
    )
    if needed > allowed:
        text = _(
            "these workers can need %(needed)d connections, and PostgreSQL allows %(allowed)d (max_connections, "
            "without the reserved ones): raise max_connections, or give the queues less --concurrency and --processes"
        )
        raise CannotStart(text % {"needed": needed, "allowed": allowed})
    if needed > allowed - used:
        logger.warning(
            "few_connections needed=%d allowed=%d in_use=%d: raise max_connections, or give the queues less "
            "--concurrency and --processes, before they run out",
            *(needed, allowed, used),
        )


def _tell_of_threads(post: Post, threads: int) -> None:
    if threads != post.threads:
        logger.warning(
            "concurrency_set %s threads=%d instead of %d: set at run time, which wins over --concurrency and the code; "
            "`manage.py jobs limits %s --concurrency code` ends that",
            *(post, threads, post.threads, post.queue),
        )


def _numbers(
    option: str, given: Sequence[str], known: Mapping[str, object], most: int, *, of_all: bool = False
) -> dict[str, int]:
    """What an option says of each queue; `of_all`: a number without a name is that of all queues."""
    numbers: dict[str, int] = {}
    for text in sorted(given, key=lambda text: "=" in text):
        name, sign, value = text.partition("=")
        if of_all and not sign and _is_number(text, most):
            numbers.update(dict.fromkeys(known, int(text)))
            continue
        if not sign or not _is_number(value, most):
            refusal = _("%(option)s: expected NAME=N with N from 1 to %(most)s, for example email=4")
            raise CannotStart(
                refusal % {"option": f"{option} {text}", "most": number_format(most, force_grouping=True)}
            )
        find_queue(name)
        if name not in known:
            refusal = _("%(option)s: queue '%(queue)s' is not worked on here; add --queue %(queue)s")
            raise CannotStart(refusal % {"option": f"{option} {text}", "queue": name})
        numbers[name] = int(value)
    return numbers


def _is_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text) <= most
