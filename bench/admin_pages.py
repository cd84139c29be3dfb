"""Every page of the admin and of members at 1,000,000 jobs and 100,000 leads, on both databases: each below 300 ms.

    .venv/bin/python -m bench.admin_pages [--jobs 1000000] [--leads 100000] [--postgresql postgres://user@host/database]

Fills what is not filled yet (see `bench.million`): `var/million.sqlite3`, and a database on a PostgreSQL server of its
own that is gone afterwards, or the one that you name. Opened with Django's test client, by a superuser, by a member of
the largest organisation and by a member of twenty. The pages are found by walking the registry, the addresses of the
engine, and the members' lists with each filter. Ends with 1 if one is slower than the limit or does not open. A page's
`cpu` is what this process and, on this machine, PostgreSQL's needed for it: where others work, it says more than time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path
from typing import Any

from .million import SQLITE, fill, set_up

LIMIT_MS = 300.0
#: A page that takes so long once is slow enough to be measured once.
SURELY_SLOW_MS = 1_500.0
PEOPLE = ("boss", "one", "twenty")
#: What these apps show is the same for everybody.
UNSCOPED = ("jobs", "auth", "accounts.user")
#: What an address of the engine answers that is for a button, or leads to another page.
ELSEWHERE = (302, 403, 404, 405)


def main() -> None:
    """Measure on both databases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--sqlite", default=SQLITE, help="address of the SQLite file; '-' leaves SQLite out")
    parser.add_argument("--postgresql", default="", help="a database to use; '-' leaves PostgreSQL out")
    parser.add_argument("--times", type=int, default=5, help="how often each page is opened, after a first time")
    parser.add_argument("--only", default="", help="only the pages whose names match this regular expression")
    parser.add_argument("--slow", action="store_true", help="print only the pages above a third of the limit")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        set_up(options.child)
        fill(options.jobs, options.leads)
        _measure(options.only, options.times)
        return
    databases = {"SQLite": options.sqlite, "PostgreSQL": options.postgresql or _own_server()}
    found = {name: _run(options, url) for name, url in databases.items() if url != "-"}
    sys.exit(_print_table(found, only_slow=options.slow))


def _own_server() -> str:
    from tests.servers import PostgresqlServer, need_postgresql

    server = PostgresqlServer.create(need_postgresql(), shared_buffers="512MB", max_wal_size="4GB")
    server.start()
    return server.create_database("million")


def _run(options: argparse.Namespace, url: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "bench.admin_pages",
        "--child",
        url,
        "--only",
        options.only,
        "--times",
        str(options.times),
    ]
    command += ["--jobs", str(options.jobs), "--leads", str(options.leads)]
    found = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout or ():
            if line.startswith("{"):
                row = json.loads(line)
                found[row["page"]] = row
                if row["median"] > LIMIT_MS or row["status"] != 200:
                    print(f"{row['status']} {row['median']:.0f} ms {row['page']}", file=sys.stderr, flush=True)
            else:
                print(line, end="", file=sys.stderr, flush=True)
    if child.returncode:
        sys.exit(f"the measurement on {url} ended with {child.returncode}")
    return found


def _measure(only: str, times: int) -> None:
    """One JSON line a page."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from accounts.models import User
    from tests.admin.members_pages import engine_pages, members_pages
    from tests.admin.pages import every_page

    for person in PEOPLE:
        user = User.objects.get(email=f"{person}@example.org")
        client = Client(raise_request_exception=False)
        client.force_login(user)
        server = _server_process()
        names = set()
        pages = chain(
            members_pages(user),
            engine_pages() if user.is_superuser else (),
            every_page(user, pairs=person != "twenty", without=() if user.is_superuser else UNSCOPED),
        )
        for page in pages:
            name = f"{person}: {page.name}"
            if name in names or not re.search(only, name):
                continue
            names.add(name)

            def open_page(page: Any = page, client: Any = client, server: int = server) -> tuple[float, float, Any]:
                began, used = time.perf_counter(), time.process_time() + _used_by(server)
                response = client.post(page.path, page.data) if page.data else client.get(page.path)
                used = time.process_time() + _used_by(server) - used
                return (time.perf_counter() - began) * 1_000, used * 1_000, response

            with CaptureQueriesContext(connection) as queries:
                first, _, response = open_page()
            # the log is emptied by the next request
            number = len(queries)
            if page.name.startswith("engine ") and response.status_code in ELSEWHERE:
                continue  # a page of engine_pages() that needs more than an address
            taken, used = zip(*(open_page()[:2] for _ in range(1 if first > SURELY_SLOW_MS else times)), strict=True)
            row = {
                "page": name,
                "status": response.status_code,
                "first": first,
                "best": min(taken),
                "median": statistics.median(taken),
                "worst": max(taken),
                "cpu": statistics.mean(used),
                "queries": number,
            }
            print(json.dumps(row), flush=True)


def _server_process() -> int:
    """The number of the connection's process in PostgreSQL's server; 0 without one, or one elsewhere."""
    from django.db import connection

    if connection.vendor != "postgresql" or connection.settings_dict["HOST"] not in ("127.0.0.1", "localhost", ""):
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def _used_by(process: int) -> float:
    """The seconds of processor time that it has used, to the system's tick of 10 ms."""
    if not process:
        return 0.0
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _print_table(found: dict[str, dict[str, Any]], *, only_slow: bool) -> int:
    """Print a line a page; returns 1 if a page is too slow or did not open."""
    names = list(dict.fromkeys(page for rows in found.values() for page in rows))
    heads = "".join(f"{f'{name} ms':>16}{'cpu':>8}{'worst':>8}{'queries':>9}" for name in found)
    print(f"{'page':<90}{heads}  verdict")
    bad = 0
    for page in names:
        rows = [rows.get(page) for rows in found.values()]
        known = [row for row in rows if row]
        trouble = [f"answered {row['status']}" for row in known if row["status"] != 200]
        slowest = max(row["median"] for row in known)
        if slowest > LIMIT_MS:
            trouble.append("TOO SLOW")
        bad += bool(trouble)
        if only_slow and not trouble and slowest < LIMIT_MS / 3:
            continue
        cells = "".join(
            f"{row['median']:>16.1f}{row['cpu']:>8.1f}{row['worst']:>8.1f}{row['queries']:>9}"
            if row
            else f"{'–':>16}{'':>25}"
            for row in rows
        )
        print(f"{page[:89]:<90}{cells}  {', '.join(trouble) or 'ok'}")
    for name, rows in found.items():
        medians = [row["median"] for row in rows.values()]
        print(
            f"{name}: {len(medians)} pages, median {statistics.median(medians):.0f} ms, slowest {max(medians):.0f} ms, "
            f"worst single answer {max(row['worst'] for row in rows.values()):.0f} ms; "
            f"of the best answers the slowest took {max(row['best'] for row in rows.values()):.0f} ms"
        )
    print(
        f"{bad} of {len(names)} pages are above {LIMIT_MS:.0f} ms or did not open." if bad else "All below the limit."
    )
    return 1 if bad else 0


if __name__ == "__main__":
    main()
