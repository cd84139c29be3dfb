"""The queues of `bench.in_bulk`: one row for each job, inserted by itself, or a hundred together."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Group

from jobs import BulkJob, Queue

singly = Queue("singly", attempts=1, concurrency=10)
in_bulk = Queue("in_bulk", attempts=1, concurrency=10)


@dataclass(frozen=True)
class Row:
    """What one job inserts."""

    name: str


@singly.task(name="bench.insert_one")
def insert_one(name: str) -> None:
    """One INSERT."""
    Group.objects.bulk_create([Group(name=name)])


@in_bulk.task(name="bench.insert_many", bulk=100)
def insert_many(jobs: list[BulkJob[Row]]) -> None:
    """One INSERT for all."""
    Group.objects.bulk_create([Group(name=job.args.name) for job in jobs])
