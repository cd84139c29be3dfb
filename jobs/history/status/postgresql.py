"""What PostgreSQL suffers from: transactions that never end, and dead rows that nobody clears away.

Needs no more rights than the site's own role has. Of other roles' sessions such a role does not see since when they are
in a transaction, but how many transactions they lag behind.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _

from ... import clock
from ..verdict import duration
from .finding import Finding, Limits

# of this database, the oldest first: process, who, what it does, seconds, transactions it lags behind
_SESSIONS = """
    SELECT pid, coalesce(nullif(application_name, ''), usename::text, ''), coalesce(state, ''),
        extract(epoch FROM clock_timestamp() - xact_start)::double precision AS seconds,
        greatest(age(backend_xid), age(backend_xmin)) AS behind
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND coalesce(backend_type, 'client backend') = 'client backend'
        AND (xact_start IS NOT NULL OR backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)
    ORDER BY seconds DESC NULLS LAST, behind DESC NULLS LAST
"""
_PREPARED = """
    SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::double precision AS seconds
    FROM pg_prepared_xacts
    WHERE database = current_database()
    ORDER BY seconds DESC
"""
# standbys without a slot that say by hot_standby_feedback which rows their queries need; every role sees them
_STANDBYS = """
    SELECT pid, coalesce(nullif(application_name, ''), usename::text, ''), age(backend_xmin) AS behind
    FROM pg_stat_replication
    WHERE backend_xmin IS NOT NULL
    ORDER BY behind DESC
"""
# a slot's catalog_xmin keeps rows of system tables only
_SLOTS = """
    SELECT slot_name, age(xmin) AS behind
    FROM pg_replication_slots
    WHERE xmin IS NOT NULL
    ORDER BY behind DESC
"""
# a table that was never vacuumed counts from the server's start
_TABLES = """
    SELECT stat.relname, stat.n_live_tup, stat.n_dead_tup,
        extract(epoch FROM clock_timestamp()
            - coalesce(greatest(last_vacuum, last_autovacuum), pg_postmaster_start_time()))::double precision,
        coalesce((
            SELECT NOT option_value::boolean FROM pg_options_to_table(class.reloptions)
            WHERE option_name = 'autovacuum_enabled'
        ), false)
    FROM pg_stat_user_tables AS stat JOIN pg_class AS class ON class.oid = stat.relid
    WHERE stat.relid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name)
    ORDER BY stat.relname
"""


def findings(connection: BaseDatabaseWrapper, limits: Limits) -> list[Finding]:
    """Old transactions, autovacuum that is off, tables full of dead rows."""
    with connection.cursor() as cursor:
        return [*_transactions(cursor, limits), *_dead_rows(cursor, limits)]


def _transactions(cursor: Any, limits: Limits) -> list[Finding]:
    return [
        *_sessions(_rows(cursor, _SESSIONS), limits),
        *_prepared(_rows(cursor, _PREPARED), limits),
        *_standbys(_rows(cursor, _STANDBYS), limits),
        *_slots(_rows(cursor, _SLOTS), limits),
    ]


def _sessions(rows: list[Any], limits: Limits) -> list[Finding]:
    for pid, who, state, seconds, behind in rows:
        values = {"pid": pid, "who": who, "state": state}
        if seconds is not None and seconds > limits.oldest_transaction:
            text = _(
                "A transaction has been open for %(time)s (process %(pid)d, %(who)s, %(state)s): dead rows pile up "
                "behind it and all queues get slow. End its program, or SELECT pg_terminate_backend(%(pid)d)."
            )
            return [
                Finding("oldest_transaction", "", text % {**values, "time": duration(seconds)}, since=_ago(seconds))
            ]
        if seconds is None and (behind or 0) > limits.oldest_snapshot:
            text = _(
                "A transaction is %(behind)d transactions behind (process %(pid)d, %(who)s): dead rows pile up behind "
                "it and all queues get slow. End its program, or SELECT pg_terminate_backend(%(pid)d)."
            )
            return [Finding("oldest_transaction", "", text % {**values, "behind": behind})]
    return []


def _prepared(rows: list[Any], limits: Limits) -> list[Finding]:
    if not rows or rows[0][1] <= limits.oldest_transaction:
        return []
    text = _(
        "A prepared transaction has been open for %(time)s: dead rows pile up behind it and all queues get slow. "
        "COMMIT PREPARED or ROLLBACK PREPARED '%(name)s'."
    )
    values = {"name": rows[0][0], "time": duration(rows[0][1])}
    return [Finding("prepared_transaction", "", text % values, since=_ago(rows[0][1]))]


def _standbys(rows: list[Any], limits: Limits) -> list[Finding]:
    if not rows or rows[0][2] <= limits.oldest_snapshot:
        return []
    pid, who, behind = rows[0]
    text = _(
        "The standby %(who)s (process %(pid)d) reads as of %(behind)d transactions ago: dead rows pile up here and all "
        "queues get slow. End its long queries, or turn hot_standby_feedback off there."
    )
    return [Finding("standby", "", text % {"who": who, "pid": pid, "behind": behind})]


def _slots(rows: list[Any], limits: Limits) -> list[Finding]:
    if not rows or rows[0][1] <= limits.oldest_snapshot:
        return []
    text = _(
        "The replication slot %(name)s is %(behind)d transactions behind: dead rows pile up and all queues get slow. "
        "See to its standby; if that is gone for good, SELECT pg_drop_replication_slot('%(name)s')."
    )
    return [Finding("replication_slot", "", text % {"name": rows[0][0], "behind": rows[0][1]})]


def _dead_rows(cursor: Any, limits: Limits) -> list[Finding]:
    tables = [model._meta.db_table for model in apps.get_app_config("jobs").get_models()]
    rows = _rows(cursor, _TABLES, [tables])
    found = _autovacuum(cursor, [name for name, *_rest, is_off in rows if is_off])
    for name, live, dead, since, _off in rows:
        if dead <= limits.dead_rows or dead <= live * limits.dead_share:
            continue
        values = {"table": name, "dead": dead, "live": live, "time": duration(since)}
        if since > limits.unvacuumed:
            text = _(
                "%(table)s has %(dead)d dead rows beside %(live)d live ones, and was last vacuumed %(time)s ago: run "
                "VACUUM (ANALYZE) %(table)s, and see what keeps autovacuum away: a lock on the table, too few workers."
            )
            found.append(Finding("dead_rows", "", text % values))
        elif dead > limits.dead_rows_in_vain:
            text = _(
                "%(table)s has %(dead)d dead rows beside %(live)d live ones, although it was vacuumed %(time)s ago: "
                "end what still needs them. Look for the oldest xmin in pg_stat_activity, pg_prepared_xacts, "
                "pg_stat_replication and pg_replication_slots; if none is old, give autovacuum more workers."
            )
            found.append(Finding("dead_rows", "", text % values))
    return found


def _autovacuum(cursor: Any, off: list[str]) -> list[Finding]:
    works = _rows(cursor, "SELECT current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean")
    if not works[0][0]:
        text = _("Autovacuum is off: dead rows pile up. Set autovacuum and track_counts to on, and reload the server.")
        return [Finding("autovacuum_off", "", text)]
    text = _("Autovacuum is off for %(table)s: dead rows pile up. ALTER TABLE %(table)s RESET (autovacuum_enabled).")
    return [Finding("autovacuum_off", "", text % {"table": name}) for name in off]


def _ago(seconds: float) -> datetime:
    return clock.now() - timedelta(seconds=seconds)


def _rows(cursor: Any, sql: str, parameters: list[Any] | None = None) -> list[Any]:
    cursor.execute(sql, parameters)
    return list(cursor.fetchall())
