"""The project's database on a PostgreSQL server of the test run's own, in place of the one that the suite runs on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.db import connections, transaction

from config.settings.env import Environment
from jobs.broker import forget_broker
from jobs.history.endings import stop_looking
from tests.servers import PoolerServer, PostgresqlServer, need_postgresql


@cache
def postgresql_server() -> PostgresqlServer:
    """The server that tests share; gone when the process ends."""
    server = PostgresqlServer.create(need_postgresql())
    server.start()
    return server


def migrated_settings(server: PostgresqlServer, name: str) -> dict[str, Any]:
    """An entry of DATABASES for a migrated, empty database of this name; made anew each time."""
    if not server.has_database(_TEMPLATE):
        server.create_database(_TEMPLATE)
        with default_is(database_settings(server, _TEMPLATE)):
            call_command("migrate", verbosity=0)
    server.create_database(name, _TEMPLATE)
    return database_settings(server, name)


_TEMPLATE = "esteira_template"


def database_settings(server: PostgresqlServer, name: str) -> dict[str, Any]:
    """An entry of DATABASES for a database that is there."""
    # so that a test can hide the server's clock behind its own
    server.execute(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog')
    settings = Environment({"URL": server.url(name)}).database("URL", "", Path())
    settings["TEST"] = {"NAME": settings["NAME"]}
    return settings


@cache
def _shared_settings() -> dict[str, Any]:
    return migrated_settings(postgresql_server(), "esteira_test")


@contextmanager
def postgresql_as_default() -> Iterator[None]:
    """Let `default` be a migrated test database on PostgreSQL; nothing to do where the suite runs on one."""
    if connections["default"].vendor == "postgresql":
        yield
        return
    with default_is(_shared_settings()):
        yield


@contextmanager
def pooled_as_default() -> Iterator[None]:
    """The same by way of a pooler in transaction mode."""
    with default_is({**_shared_settings(), "PORT": _pooler_server().port}):
        yield


@cache
def _pooler_server() -> PoolerServer:
    pooler = PoolerServer.create(postgresql_server())
    pooler.start()
    return pooler


@contextmanager
def default_is(settings: dict[str, Any]) -> Iterator[None]:
    """Let the alias `default` be another database, in every thread that connects meanwhile."""
    before, connection = connections.settings["default"], connections["default"]
    forget_broker()
    stop_looking()  # by the connection of the database before
    connections.settings["default"] = settings
    connections.configure_settings(connections.settings)
    del connections["default"]
    try:
        yield
    finally:
        forget_broker()
        stop_looking()
        connections["default"].close()
        connections.settings["default"] = before
        connections["default"] = connection


#: What `migrate` fills in.
_OF_MIGRATE = {"django_content_type", "auth_permission"}


@contextmanager
def emptied() -> Iterator[None]:
    """Empty the database before and after, as a test's own database is."""
    empty("default")
    try:
        yield
    finally:
        empty("default")


#: What PostgreSQL's planner may know of the jobs: autovacuum decides it, and no test may lean on it.
KNOWN = ("nothing", "an empty table", "other queues", "all")
_OF_JOBS = ("jobs_job", "jobs_edge")


@contextmanager
def statistics_of_jobs(known: str, fill: Callable[[], object]) -> Iterator[None]:
    """Fill the tables of jobs, and let the planner know one of KNOWN of them; SQLite keeps no statistics.

    They outlive a TRUNCATE, and autovacuum makes them anew at any moment: meanwhile it lets these tables be.
    """
    if connections["default"].vendor != "postgresql":
        fill()
        yield
        return
    with connections["default"].cursor() as cursor:
        for table in _OF_JOBS:
            cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
            cursor.execute(f"DELETE FROM pg_statistic WHERE starelid = '{table}'::regclass")
            # nor on which of its indexes other tests have left larger
            cursor.execute(f"REINDEX TABLE {table}")
        if known == "an empty table":
            cursor.execute(f"ANALYZE {', '.join(_OF_JOBS)}")
        elif known == "other queues":
            fill()
            cursor.execute("UPDATE jobs_job SET queue = 'another', task = 'another', state = 'cancelled'")
            cursor.execute(f"ANALYZE {', '.join(_OF_JOBS)}")
            cursor.execute("TRUNCATE jobs_job CASCADE")
        fill()
        if known == "all":
            cursor.execute(f"ANALYZE {', '.join(_OF_JOBS)}")
        try:
            yield
        finally:
            for table in _OF_JOBS:
                cursor.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)")


@contextmanager
def only_by_indexes() -> Iterator[None]:
    """What is asked on Django's connection goes by the index with the asked order, as in a table of a million rows."""
    if connections["default"].vendor != "postgresql":
        yield
        return
    switches = ("enable_seqscan", "enable_bitmapscan", "enable_sort")
    with connections["default"].cursor() as cursor:
        cursor.execute("; ".join(f"SET {switch} = off" for switch in switches))
        try:
            yield
        finally:
            cursor.execute("; ".join(f"RESET {switch}" for switch in switches))


def plans_of(act: Callable[[], object], *words: str) -> list[tuple[str, str]]:
    """Each SELECT with these words that an action makes on Django's connection, with the plan that it has there."""
    connection = connections["default"]
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    seen = []

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.startswith("SELECT") and all(word in sql for word in words):
            execute(f"{explain} {sql}", params, many, context)
            seen.append((sql, "\n".join(str(row[-1]) for row in context["cursor"].fetchall())))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        act()
    return seen


def goes_by(index: str, look: tuple[str, str]) -> None:
    """Assert that this look finds its rows by that index alone, and in its order."""
    sql, plan = look
    used = re.findall(r"(?:using|jobs_job USING INDEX|COVERING INDEX) (\w+)", plan)
    assert set(used) == {index}, (sql, plan)
    assert not re.search("Sort|TEMP B-TREE|Seq Scan|^SCAN jobs_job$", plan, re.MULTILINE), (sql, plan)


#: A larger table is truncated: what is deleted stays in the way of the next test's looks. In bytes.
_LARGE = 128 * 1024


def empty(alias: str) -> None:
    """Take out what a test left in a database; what `migrate` fills in stays, as it is the same for all tests.

    A few milliseconds; Django's `flush` takes 90 to 190 of them, to truncate every table and make all permissions anew.
    """
    connection = connections[alias]
    small, large = _filled_tables(connection)
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        if large:
            cursor.execute(f"TRUNCATE {', '.join(large)} CASCADE")
        for table in small:
            cursor.execute(f"DELETE FROM {table}")
    # another database's have other keys
    apps.get_model("contenttypes", "ContentType").objects.clear_cache()


def _filled_tables(connection: Any) -> tuple[list[str], list[str]]:
    """The tables with rows of a test: the small, and the large ones."""
    names = {*connection.introspection.django_table_names(only_existing=True)} - _OF_MIGRATE
    if not names:
        return [], []
    size = "pg_relation_size('{0}')" if connection.vendor == "postgresql" else "0"
    look = f"SELECT '{{0}}', {size} WHERE EXISTS (SELECT 1 FROM {{0}})"
    looks = [look.format(connection.ops.quote_name(name)) for name in sorted(names)]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        found = cursor.fetchall()
    return [name for name, size in found if size <= _LARGE], [name for name, size in found if size > _LARGE]
