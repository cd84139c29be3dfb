"""The project's database on a PostgreSQL server of the test run's own, in place of the one that the suite runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.db import connections

from config.settings.env import Environment
from jobs.broker import forget_broker
from tests.servers import PoolerServer, PostgresqlServer, need_postgresql


@cache
def postgresql_server() -> PostgresqlServer:
    """The server that tests share; gone when the process ends."""
    server = PostgresqlServer.create(need_postgresql())
    server.start()
    return server


def migrated_settings(server: PostgresqlServer, name: str) -> dict[str, Any]:
    """An entry of DATABASES for a migrated, empty database of this name; made anew each time."""
    url = server.create_database(name)
    # so that a test can hide the server's clock behind its own
    server.execute(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog')
    settings = Environment({"URL": url}).database("URL", "", Path())
    settings["TEST"] = {"NAME": settings["NAME"]}
    with default_is(settings):
        call_command("migrate", verbosity=0)
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
    connections.settings["default"] = settings
    connections.configure_settings(connections.settings)
    del connections["default"]
    try:
        yield
    finally:
        forget_broker()
        connections["default"].close()
        connections.settings["default"] = before
        connections["default"] = connection


@contextmanager
def emptied() -> Iterator[None]:
    """Empty the database before and after, as a test's own database is."""
    _flush()
    try:
        yield
    finally:
        _flush()


def _flush() -> None:
    call_command("flush", verbosity=0, interactive=False)
    # the rows were made anew, under other keys
    apps.get_model("contenttypes", "ContentType").objects.clear_cache()
