"""Django's database connections in threads that have no request cycle to look after them."""

from __future__ import annotations

from typing import Any

from django.db import close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .sqlite_files import notice_replaced


def keep_connections() -> None:
    """Let each thread of this process keep its connection, and look before it is used again whether it still works."""
    for settings in connections.settings.values():
        if not settings.get("OPTIONS", {}).get("pool"):
            settings["CONN_MAX_AGE"] = None
            settings["CONN_HEALTH_CHECKS"] = True


def close_obsolete_connections() -> None:
    """Close this thread's connections that broke, grew too old or lost their file.

    One in a transaction belongs to the caller.
    """
    notice_replaced()
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def close_replaced_connections(**kwargs: Any) -> None:
    """Close this thread's connections whose SQLite file was replaced: a receiver of `request_started`."""
    if notice_replaced():
        close_old_connections()


def opened_by_caller(connection: BaseDatabaseWrapper) -> bool:
    """Whether this thread's connection has a transaction open; those that a TestCase opens around a test are none."""
    if connection.connection is None:
        return False
    if not connection.in_atomic_block:
        return not connection.autocommit
    # Django marks them so
    return any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
