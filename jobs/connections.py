"""Django's database connections in threads that have no request cycle to look after them."""

from __future__ import annotations

from django.db import connections


def close_obsolete_connections() -> None:
    """Close this thread's connections that broke or grew too old; one in a transaction belongs to the caller."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
