"""The project's database on a PostgreSQL server of the test run's own, in place of the one that the suite runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.core.management import call_command
from django.db import connections

from config.settings.env import Environment
from jobs.broker import forget_broker
from tests.servers import PostgresqlServer, need_postgresql

#: public comes before pg_catalog, so that a test can hide the server's clock behind its own.
SEARCH_PATH = "-c search_path=public,pg_catalog"


@cache
def postgresql_server() -> PostgresqlServer:
    """The server that tests share; gone when the process ends."""
    server = PostgresqlServer.create(need_postgresql())
    server.start()
    return server


@cache
def _migrated_url() -> str:
    return postgresql_server().create_database("esteira_test")


@contextmanager
def postgresql_as_default() -> Iterator[None]:
    """Let `default` be a migrated test database on PostgreSQL; nothing to do where the suite runs on one."""
    if connections["default"].vendor == "postgresql":
        yield
        return
    need_postgresql()
    fresh = not _migrated_url.cache_info().currsize
    settings = Environment({"URL": _migrated_url()}).database("URL", "", None)  # type: ignore[arg-type]
    settings["TEST"] = {"NAME": settings["NAME"]}
    with default_is(settings):
        if fresh:
            call_command("migrate", verbosity=0)
        yield


@contextmanager
def default_is(settings: dict[str, object]) -> Iterator[None]:
    """Let the alias `default` be another database, in every thread that connects meanwhile."""
    before, connection = connections.settings["default"], connections["default"]
    forget_broker()
    connections.settings["default"] = settings
    connections.configure_settings(connections.settings)
    del connections["default"]
    settings.setdefault("OPTIONS", {})
    settings["OPTIONS"] = {**settings["OPTIONS"], "options": SEARCH_PATH}  # type: ignore[dict-item]
    try:
        yield
    finally:
        forget_broker()
        connections["default"].close()
        connections.settings["default"] = before
        connections["default"] = connection
