"""How PostgreSQL finds the rows of a look that must stay short: by an index, in the index's own order.

Its planner goes by statistics, and these may be of a time when the table was small or had no row of this queue. Then
every index looks alike to it, and so does sorting what a whole queue has kept. The broker's own connection says the
same once for all (`broker.database.postgresql.connection`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction

from ..broker.database.statements import load_statements


@contextmanager
def by_index(alias: str) -> Iterator[None]:
    """What is asked in here goes by the index that has the asked order: on PostgreSQL, in a transaction of its own.

    In the caller's transaction nothing changes: what follows there may need other plans. Nor on SQLite, which keeps
    no statistics here.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql" or connection.in_atomic_block or not connection.get_autocommit():
        yield
        return
    with transaction.atomic(using=alias):
        with connection.cursor() as cursor:
            cursor.execute(load_statements("postgresql")["go_by_indexes"])
        yield
