"""A million job rows in seconds, made by the database itself; and databases of a benchmark's own to put them into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

#: number, queue, state, priorities: one row a millisecond, the oldest first, each in turn of another priority; they end
#: within a thousand of each other in another order.
_JOBS = {
    "sqlite": """
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :number)
        INSERT INTO jobs_job (id, run, queue, task, state, priority, message, created_at, ready_at, ended_at, attempts,
            starts, lost, alone, token, cancel_requested, error, reason, event, about_type, about_id)
        SELECT printf('%012x7%03x8%015x', 1700000000000 + i, i % 4096, abs(random()) % 0xfffffffffffffff), 1, :queue,
            'bench.task', :state, 1 + (4 + i % :priorities) % 10, '{"v":1,"args":[],"kwargs":{}}',
            strftime('%Y-%m-%d %H:%M:%f', 1700000000.0 + i / 1000.0, 'unixepoch'),
            strftime('%Y-%m-%d %H:%M:%f', 1700000000.0 + i / 1000.0, 'unixepoch'),
            CASE WHEN :state = 'completed'
                THEN strftime('%Y-%m-%d %H:%M:%f', 1700000000.0 + (i + i * 7919 % 1000) / 1000.0, 'unixepoch') END,
            0, 0, 0, 0, 0, 0, '', '', '', '', ''
        FROM n
    """,
    "postgresql": """
        INSERT INTO jobs_job (id, run, queue, task, state, priority, message, created_at, ready_at, ended_at, attempts,
            starts, lost, alone, token, cancel_requested, error, reason, event, about_type, about_id)
        SELECT (lpad(to_hex(1700000000000 + i), 12, '0') || '7' || lpad(to_hex(i %% 4096), 3, '0') || '8'
                || left(md5(i::text), 15))::uuid, 1, %(queue)s,
            'bench.task', %(state)s, 1 + (4 + i %% %(priorities)s) %% 10, '{"v":1,"args":[],"kwargs":{}}',
            to_timestamp(1700000000.0 + i / 1000.0), to_timestamp(1700000000.0 + i / 1000.0),
            CASE WHEN %(state)s = 'completed'
                THEN to_timestamp(1700000000.0 + (i + i * 7919 %% 1000) / 1000.0) END,
            0, 0, 0, false, 0, false, '', '', '', '', ''
        FROM generate_series(0::bigint, %(number)s - 1) AS i
    """,
}
_ATTEMPTS = """
    INSERT INTO jobs_attempt (job_id, run, number, outcome, worker, ended_at, error, traceback)
    SELECT id, 1, 1, 'completed', 'bench:1', ended_at, '', '' FROM jobs_job WHERE state = 'completed'
"""


def set_up(urls: dict[str, str]) -> None:
    """Let Django work on these databases with the engine alone, and migrate them. One of them is `default`."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    from config.settings.env import Environment

    settings.configure(
        INSTALLED_APPS=["jobs", "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.admin"],
        DATABASES={alias: Environment({"URL": url}).database("URL", "", Path()) for alias, url in urls.items()},
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()
    for alias in urls:
        call_command("migrate", database=alias, verbosity=0)


def insert_jobs(connection: Any, number: int, queue: str, state: str = "queued", priorities: int = 1) -> None:
    """Rows of one queue in one state, with an attempt each where they have ended; then fresh statistics."""
    values = {"number": number, "queue": queue, "state": state, "priorities": priorities}
    sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        if sqlite:
            connection.ensure_connection()
            connection.connection.execute("BEGIN")
            connection.connection.execute(_JOBS["sqlite"], values)
            if state == "completed":
                connection.connection.execute(_ATTEMPTS)
            connection.connection.execute("COMMIT")
            cursor.execute("ANALYZE")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            cursor.execute(_JOBS["postgresql"], values)
            if state == "completed":
                cursor.execute(_ATTEMPTS)
            cursor.execute("VACUUM ANALYZE jobs_job, jobs_attempt")
            cursor.execute("CHECKPOINT")


@contextmanager
def own_databases(vendor: str, aliases: list[str]) -> Iterator[dict[str, str]]:
    """Addresses of empty databases that are gone afterwards: SQLite files, or a PostgreSQL server of their own."""
    if vendor == "sqlite":
        with TemporaryDirectory(dir="var") as folder:
            yield {alias: f"sqlite:///{Path(folder).resolve()}/{alias}.sqlite3" for alias in aliases}
        return
    from tests.servers import PostgresqlServer, need_postgresql

    server = PostgresqlServer.create(need_postgresql(), shared_buffers="512MB", max_wal_size="4GB")
    server.start()
    try:
        yield {alias: server.create_database(alias) for alias in aliases}
    finally:
        server.remove()
