"""Fill a database of its own with a large site: 1,000,000 jobs and 100,000 leads with all that belongs to them.

    .venv/bin/python -m bench.million [--jobs 1000000] [--leads 100000] [--database postgres://user@host/empty_database]

Without `--database` it is `var/million.sqlite3`. A database that this program filled before is left as it is; any other
that is not empty is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

SQLITE = "sqlite:///var/million.sqlite3"
MARK = "bench_million"
CHUNK = 20_000


def main() -> None:
    """Fill, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", default=SQLITE, help="an empty database; default: a SQLite file in var/")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--leads", type=int, default=100_000)
    options = parser.parse_args()
    set_up(options.database)
    fill(options.jobs, options.leads)


def set_up(database: str) -> None:
    """Let Django work on this database with the settings of the tests, which read nothing of the site's."""
    os.environ["TEST_DATABASE_URL"] = database
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    import django

    django.setup()


def fill(jobs: int, leads: int) -> None:
    """Migrate and fill the database, unless it holds exactly this; ends the program where it holds anything else."""
    from django.core.management import call_command
    from django.db import connection

    tables = set(connection.introspection.table_names())
    if MARK in tables:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT jobs, leads FROM {MARK}")
            found = cursor.fetchone()
        if found != (jobs, leads):
            sys.exit(f"{_name()} holds {found or 'a half-filled site'}, not {(jobs, leads)}: name another database")
        # a migration that came later, and the permissions that it brought
        call_command("migrate", verbosity=0)
        _permit()
        return
    if tables:
        sys.exit(f"{_name()} is not empty, and this program did not fill it: name an empty database")
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {MARK} (jobs integer, leads integer)")
    call_command("migrate", verbosity=0)
    _write_all(connection, jobs, leads)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {MARK} VALUES (%s, %s)", [jobs, leads])
    print(f"{connection.display_name}: {jobs:,} jobs and {leads:,} leads in {time.perf_counter() - began:,.0f} s")


def _name() -> str:
    url = urlsplit(os.environ["TEST_DATABASE_URL"])
    return f"{url.scheme} database {url.path}"


def _write_all(connection: Any, jobs: int, leads: int) -> None:
    from . import million_rows as rows

    sqlite = connection.vendor == "sqlite"
    site = rows.Site(jobs, leads, rows.moment(), "" if sqlite else "+00")
    with connection.cursor() as cursor:
        if sqlite:
            # nobody else is here, and a database that was half filled is thrown away
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.execute("PRAGMA cache_size = -400000")
        for part in (rows.people, rows.leads, rows.messages, rows.engine):
            for table, columns, values in map(_complete, part(site)):
                began = time.perf_counter()
                number = (_insert if sqlite else _copy)(connection, cursor, table, columns, values)
                print(f"   {table:<34}{number:>10,}{time.perf_counter() - began:>8.1f} s", flush=True)
        _staff()
        _write_log(connection, cursor, site)
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)" if sqlite else "VACUUM ANALYZE")


def _complete(part: tuple[str, tuple[str, ...], Iterable[Any]]) -> tuple[str, tuple[str, ...], Iterable[Any]]:
    """The part, with the columns that have come since, as the model fills them."""
    from django.apps import apps
    from django.db.models import NOT_PROVIDED

    table, columns, values = part
    models = [model for model in apps.get_models() if model._meta.db_table == table]
    fields = [field for model in models for field in model._meta.concrete_fields if field.column not in columns]
    lacking = [
        field for field in fields if not (field.null or field.primary_key or field.db_default is not NOT_PROVIDED)
    ]
    if not lacking:
        return part
    defaults = tuple(_stored(field.get_default()) for field in lacking)
    return table, (*columns, *(field.column for field in lacking)), ((*row, *defaults) for row in values)


def _stored(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else int(value) if value in (True, False) else str(value)


def _insert(connection: Any, cursor: Any, table: str, columns: tuple[str, ...], values: Iterable[Any]) -> int:
    names = ", ".join(f'"{name}"' for name in columns)
    statement = f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(columns))})'
    # sqlite3's own cursor: Django's would look at each row
    raw = connection.connection.cursor()
    number = 0
    raw.execute("BEGIN")
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        raw.executemany(statement, chunk)
        number += len(chunk)
    raw.execute("COMMIT")
    return number


def _copy(connection: Any, cursor: Any, table: str, columns: tuple[str, ...], values: Iterable[Any]) -> int:
    names = ", ".join(f'"{name}"' for name in columns)
    number = 0
    with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
        for text, lines in _chunks(values):
            copy.write(text)
            number += lines
    return number


def _chunks(values: Iterable[Any]) -> Iterator[tuple[str, int]]:
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        lines = ["\t".join([r"\N" if value is None else _plain(value) for value in row]) for row in chunk]
        yield "\n".join(lines) + "\n", len(lines)


def _plain(value: Any) -> str:
    return value.replace("\n", r"\n") if isinstance(value, str) else str(value)


def _staff() -> None:
    """Who opens the pages: a superuser, a member of the largest organisation, and one of twenty."""
    from accounts.models import Membership, Organization, User

    User.objects.create_superuser("boss@example.org", "x")
    organizations = list(Organization.objects.order_by("slug")[:20])
    largest = Organization.objects.get(slug="company-0")
    for name, places in (("one", [largest]), ("twenty", organizations)):
        person = User.objects.create_user(f"{name}@example.org", "x", is_staff=True)
        Membership.objects.bulk_create(Membership(user=person, organization=place) for place in places)
    _permit()


def _permit() -> None:
    """The two members may do all that there is."""
    from django.contrib.auth.models import Permission

    from accounts.models import User

    for person in User.objects.filter(email__in=("one@example.org", "twenty@example.org")):
        person.user_permissions.set(Permission.objects.all())


def _write_log(connection: Any, cursor: Any, site: Any) -> None:
    """The staff's log: as many lines as there are leads, most of them about leads, most by one person."""
    from django.contrib.contenttypes.models import ContentType

    from accounts.models import User
    from jobs.models import Job
    from leads.models import Lead

    boss = User.objects.get(email="boss@example.org").pk.hex
    lead, job = (ContentType.objects.get_for_model(model).pk for model in (Lead, Job))
    columns = ("action_time", "user_id", "content_type_id", "object_id", "object_repr", "action_flag", "change_message")
    values = (
        (site.at(site.lead_time(i)), boss, job if i % 4 == 0 else lead, site.new_id(), "Ada", 2, "Changed.")
        for i in range(site.leads)
    )
    (_insert if connection.vendor == "sqlite" else _copy)(connection, cursor, "django_admin_log", columns, values)


if __name__ == "__main__":
    main()
