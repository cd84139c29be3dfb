"""The broker on the project's own database, where the Job table is the queue: which one it is."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.translation import gettext as _

from .shared import SharedBroker
from .sqlite.broker import SqliteBroker


def DatabaseBroker(alias: str) -> SharedBroker:
    """The broker for the vendor of the alias's database; raises `ImproperlyConfigured` for another vendor."""
    vendor = connections[alias].vendor
    if vendor == "postgresql":
        from .postgresql.broker import PostgresqlBroker  # its driver need not be installed elsewhere

        return PostgresqlBroker(alias)
    if vendor != "sqlite":
        text = _(
            "the database '%(alias)s' is %(vendor)s; jobs are kept in SQLite or PostgreSQL: use a DATABASE_URL "
            "like sqlite:///file.sqlite3 or postgres://user:password@host/name"
        )
        raise ImproperlyConfigured(text % {"alias": alias, "vendor": vendor})
    return SqliteBroker(alias)
