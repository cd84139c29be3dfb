"""Rows a second of an import of leads, beside one job a row, each on one `run_huey` on a database of its own.

    .venv/bin/python -m bench.imports [--rows 100000] [--single 2000] [--vendor sqlite|postgresql]

The file has names, addresses, phone numbers, companies and values; one row in 50 is wrong. Printed: how long the upload
takes (reading, and keeping the rows), the time from the click to the end of the import, the most memory that the
worker and this process had, and the same work as one job a row, of fewer rows, three at a time.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from .bulk import own_databases

LIMIT = 1_800.0


def main() -> None:
    """Measure in one process a vendor: Django is set up once a process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--single", type=int, default=2_000, help="rows of the import with one job a row")
    parser.add_argument("--vendor", choices=["sqlite", "postgresql"], default="")
    options = parser.parse_args()
    if not options.vendor:
        command = [sys.executable, "-m", "bench.imports", "--rows", str(options.rows), "--single", str(options.single)]
        sys.exit(max(subprocess.run([*command, "--vendor", one]).returncode for one in ("sqlite", "postgresql")))
    with own_databases(options.vendor, ["default"]) as urls:
        measure(options, urls["default"])


def measure(options: argparse.Namespace, url: str) -> None:
    """Print the figures of one database."""
    # not in debug mode, in which Django keeps the statements of each connection
    site = {"ENV_FILE": os.devnull, "SECRET_KEY": "bench", "ALLOWED_HOSTS": "localhost", "DATABASE_URL": url}
    os.environ.update(site, DJANGO_SETTINGS_MODULE="config.settings.site")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from leads.models import Activity, Lead
    from leads.services import start_import

    call_command("migrate", verbosity=0)
    person = _person()
    with running_huey() as supervisor:
        warm = stored(10, person, "warm")
        start_import(warm.pk, actor=person)
        until_ended(warm)
        one_by_one = begin_rows(options.single, person)
        single = until_ended(one_by_one) if options.single else 0.0
        began = perf_counter()
        lead_import = stored(options.rows, person, "large")
        uploaded = perf_counter() - began
        began = perf_counter()
        start_import(lead_import.pk, actor=person)
        clicked = perf_counter() - began
        seconds = until_ended(lead_import) + clicked
        memory = most_memory(supervisor)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    lead_import.refresh_from_db()
    leads = Lead.objects.filter(imported_in=lead_import)
    if not lead_import.created == leads.count() == Activity.objects.filter(lead__in=leads).count():
        raise SystemExit(f"{lead_import.created} counted, {leads.count()} leads")
    rate = lead_import.rows / seconds
    print(f"{connection.display_name}, {lead_import.rows:,} rows ({lead_import.size / 1e6:.1f} MB)")
    print(f"   upload {uploaded:.1f} s, start {clicked:.2f} s, import {seconds:.1f} s: {rate:,.0f} rows/s")
    print(f"   new {lead_import.created:,}, wrong {lead_import.wrong:,}", end="; ")
    print(f"most memory: worker {memory:.0f} MB, this process {own:.0f} MB")
    if options.single:
        alone = options.single / single
        print(f"   one job a row, {options.single:,} rows: {alone:,.0f} rows/s; ratio {rate / alone:.1f}", flush=True)
    connection.close()


def content_of(rows: int, mark: str) -> bytes:
    """A file as a spreadsheet writes it."""
    lines = ["Nome;E-mail;Telefone;Empresa;Cargo;Valor;Observações\r\n"]
    for one in range(rows):
        address = "sem endereço" if one % 50 == 7 else f"{mark}{one}@empresa{one % 500}.com.br"
        company = f"Empresa {one % 500} Ltda"
        lines.append(f"Ana {one};{address};(11) 9{10_000_000 + one};{company};Gerente;{one},50;Feira de maio\r\n")
    return "".join(lines).encode("cp1252")


def stored(rows: int, person: Any, mark: str) -> Any:
    """An import that is ready to be started."""
    from accounts.models import Organization
    from leads.services import store_import

    data = content_of(rows, mark)
    organization = Organization.objects.get(slug="bench")
    return store_import(organization, io.BytesIO(data), name=f"{mark}.csv", size=len(data), actor=person)


def begin_rows(rows: int, person: Any) -> Any:
    """The same as one job a row: each piece has one, and none waits for another."""
    from django.db import transaction
    from django.utils import timezone

    from jobs import Batch
    from leads import tasks
    from leads.models import ImportState
    from leads.services import imports

    usual, imports.PIECE = imports.PIECE, 1
    lead_import = stored(rows, person, "single")
    imports.PIECE = usual
    with transaction.atomic():
        organization_id = lead_import.organization_id
        with Batch("bench", on_complete=tasks.finish_import.bind(lead_import.pk, organization_id)) as batch:
            for number, piece in enumerate(lead_import.pieces.values_list("pk", flat=True)):
                batch.add(tasks.import_leads.using(sequence=f"row:{number}").bind(piece, organization_id))
        lead_import.state, lead_import.started_at = ImportState.RUNNING, timezone.now()
        lead_import.save()
    return lead_import


def until_ended(lead_import: Any) -> float:
    """Seconds until it has ended."""
    from leads.models import UNDER_WAY

    began = perf_counter()
    while perf_counter() < began + LIMIT:
        lead_import.refresh_from_db(fields=["state"])
        if lead_import.state not in UNDER_WAY:
            return perf_counter() - began
        sleep(0.05)
    raise SystemExit(f"not ended after {LIMIT:.0f} s")


@contextmanager
def running_huey() -> Iterator[int]:
    """The product's workers of the lead queue; the number of the supervisor's process."""
    command = [sys.executable, "manage.py", "run_huey", "--queue", "lead", "--no-reload"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def most_memory(supervisor: int) -> float:
    """The most megabytes that a process below this one had at a time."""
    most = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if fields.get("PPid", "").strip() == str(supervisor) and "VmHWM" in fields:
            most = max(most, int(fields["VmHWM"].split()[0]))
    return most / 1_024


def _person() -> Any:
    from accounts.models import Membership, Organization, Role, User

    organization = Organization.objects.create(name="Bench", slug="bench", country="BR")
    person = User.objects.create_user("bench@example.org", "secret")
    Membership.objects.create(organization=organization, user=person, role=Role.MANAGER)
    return person


if __name__ == "__main__":
    main()
