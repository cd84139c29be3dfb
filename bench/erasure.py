"""Erasing one person among 1,000,000 jobs and 100,000 leads while jobs come and go, on both databases.

    .venv/bin/python -m bench.erasure [--jobs 1000000] [--leads 100000] [--vendor sqlite|postgresql]

Databases of its own, filled as `bench.million` does; `--database URL` takes one that it filled, and leaves it one lead
poorer. One process enqueues, claims and settles a job of another queue all the time; a second one erases a lead as the
page does. Printed: how long each step of the first one took before and meanwhile, how long the erasure took, and the
longest time that one of its transactions was open, which is how long it held its locks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count
from time import perf_counter, sleep
from typing import Any
from uuid import UUID

from .bulk import own_databases
from .million import fill, set_up
from .worker import has_line, registered

WINDOW, PAUSE = 10.0, 0.002
#: How many rows of each kind name the person beside its own.
MENTIONS = 200


def main() -> None:
    """Measure in one process a vendor: Django is set up once a process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--vendor", choices=["sqlite", "postgresql"], default="")
    parser.add_argument("--database", default="", help="one that bench.million filled, in place of an own one")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    parser.add_argument("--lead", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        erase(options.child, options.lead)
    elif options.database:
        measure(options, options.database)
    elif options.vendor:
        with own_databases(options.vendor, ["default"]) as urls:
            measure(options, urls["default"])
    else:
        size = ["--jobs", str(options.jobs), "--leads", str(options.leads)]
        command = [sys.executable, "-m", "bench.erasure", *size, "--vendor"]
        sys.exit(max(subprocess.run([*command, vendor]).returncode for vendor in ("sqlite", "postgresql")))


def erase(url: str, lead_id: str) -> None:
    """The second process: say that it is ready, wait for a line, erase; one JSON line."""
    set_up(url)
    from leads.services import erase_lead

    print("ready", flush=True)
    sys.stdin.readline()
    with transactions_timed() as transactions:
        began = perf_counter()
        erased = erase_lead(UUID(lead_id))
        seconds = perf_counter() - began
    told = {**asdict(erased), "running": len(erased.running)}
    print(json.dumps({"seconds": seconds, "transactions": transactions, "erased": told}), flush=True)


@contextmanager
def transactions_timed() -> Iterator[list[float]]:
    """The milliseconds that each transaction was open, also of a single statement that writes."""
    from django.db import connection
    from django.db.transaction import Atomic

    taken: list[float] = []
    enter, leave = Atomic.__enter__, Atomic.__exit__
    begun: list[float] = []

    def timed_enter(self: Any) -> None:
        enter(self)
        begun.append(perf_counter())

    def timed_leave(self: Any, *error: Any) -> None:
        leave(self, *error)
        at = begun.pop()
        if not begun:
            taken.append((perf_counter() - at) * 1_000)

    def execute(run: Callable[..., Any], sql: str, *rest: Any) -> Any:
        at = perf_counter()
        done = run(sql, *rest)
        if not begun and not sql.lstrip().startswith(("SELECT", "BEGIN")):
            taken.append((perf_counter() - at) * 1_000)
        return done

    Atomic.__enter__, Atomic.__exit__ = timed_enter, timed_leave  # type: ignore[method-assign]
    try:
        with connection.execute_wrapper(execute):
            yield taken
    finally:
        Atomic.__enter__, Atomic.__exit__ = enter, leave  # type: ignore[method-assign]


def measure(options: argparse.Namespace, url: str) -> None:
    """Print the table of one database."""
    set_up(url)
    fill(options.jobs, options.leads)
    from django.db import connection

    lead_id = leave_traces()
    worker = Worker()
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.erasure", "--child", url, "--lead", str(lead_id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if child.stdin is None or child.stdout is None or child.stdout.readline().strip() != "ready":
        raise RuntimeError("the erasing process did not start")
    print(f"{connection.display_name}, one of {options.leads:,} leads is erased, among {options.jobs:,} jobs")
    print(f"{'a job beside it':<32}{'p50 ms':>10}{'p99 ms':>10}{'worst ms':>10}")
    worker.work(lambda seconds: seconds < 2)
    _print("before", worker.work(lambda seconds: seconds < WINDOW))
    child.stdin.write("go\n")
    child.stdin.flush()
    meanwhile = worker.work(lambda seconds: not has_line(child.stdout))
    _print("meanwhile", meanwhile)
    told = json.loads(child.stdout.readline())
    child.wait(30)
    print(f"erased in {told['seconds']:.1f} s: {told['erased']}")
    taken = told["transactions"]
    print(f"   in {len(taken):,} transactions, open for: median {statistics.median(taken):.1f} ms, worst ", end="")
    print(f"{max(taken):.1f} ms", flush=True)
    worker.broker.close()
    connection.close()


def leave_traces() -> UUID:
    """Let other rows name a lead of the largest organisation, and forms have become no lead; returns the lead's id."""
    from django.contrib.admin.models import LogEntry
    from django.db.models import Model

    from jobs.models import Attempt, Job
    from leads.models import Lead, Submission
    from notifications.models import Notification

    lead = Lead.present.filter(organization__slug="company-0").order_by("pk")[0]
    Submission.objects.filter(state="invalid").update(lead=None)

    def some(model: type[Model], **condition: Any) -> Any:
        rows = model._default_manager.filter(**condition).order_by("pk")
        return model._default_manager.filter(pk__in=list(rows.values_list("pk", flat=True)[:MENTIONS]))

    error = f"HTTPError: 400 {lead.email} is unknown"
    some(Job, state="failed").update(error=error)
    some(Attempt, outcome="failed").update(error=error)
    some(Notification).update(title=f"Call {lead.name}")
    some(LogEntry).update(object_repr=lead.name)
    some(Submission, state="invalid", organization=lead.organization).update(body=json.dumps({"email": lead.email}))
    return lead.pk


def _print(name: str, steps: dict[str, list[float]]) -> None:
    for step, taken in steps.items():
        worst = f"{statistics.quantiles(taken, n=100)[98]:>10.2f}{max(taken):>10.2f}"
        print(f"{f'{step}, {name}':<32}{statistics.median(taken):>10.2f}{worst}", flush=True)


class Worker:
    """Enqueues a job, claims it and settles the one before, with a short pause between."""

    def __init__(self) -> None:
        self.broker, self.policy, self.id = registered("work")
        self.numbers = count(1)
        self.done: list[Any] = []

    def work(self, go_on: Callable[[float], bool]) -> dict[str, list[float]]:
        """The milliseconds of each step, as long as `go_on` of the seconds says so."""
        from jobs import clock
        from jobs.broker.records import Completed, NewJob, Settlement

        steps: dict[str, list[float]] = {"enqueue": [], "claim": []}
        began = perf_counter()
        while go_on(perf_counter() - began):
            job = NewJob(id=clock.new_id(), queue="work", task="bench.task", message="{}", priority=5)
            at = perf_counter()
            self.broker.push("work", [job])
            pushed = perf_counter()
            jobs = self.broker.exchange(self.id, self.policy, self.done, 1, number=next(self.numbers)).jobs
            steps["claim"].append((perf_counter() - pushed) * 1_000)
            steps["enqueue"].append((pushed - at) * 1_000)
            now = clock.now()
            self.done = [Settlement(job, Completed("1"), now, now) for job in jobs]
            sleep(PAUSE)
        return steps


if __name__ == "__main__":
    main()
