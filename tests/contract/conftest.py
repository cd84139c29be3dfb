"""The brokers that the contract suite runs over. A new broker adds a `Bench` here and nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Sum

from jobs import clock
from jobs.broker.contract import Broker
from jobs.broker.database.broker import DatabaseBroker
from jobs.models import Attempt, Job, QueueStat
from jobs.states import MOVES, State
from tests.contract.hands import Hands


@dataclass(frozen=True)
class Record:
    """What the history says of a job; `timeline` holds (number, outcome) of each start."""

    state: State
    run: int
    attempts: int
    starts: int
    lost: int
    error: str
    reason: str
    result: str | None
    timeline: list[tuple[int | None, str]]


class Bench(Protocol):
    """A broker with nothing in it, a hand on its clock, and a view of what it tells the history."""

    broker: Broker

    def record(self, job_id: UUID) -> Record | None:
        """The history of a job, up to date."""

    def counters(self, queue: str) -> dict[str, int]:
        """The queue's counters, up to date; those that are not zero."""

    def advance(self, seconds: float) -> None:
        """Let the broker's clock be `seconds` later."""

    def clear(self) -> None:
        """Take everything out of the broker."""


class SqliteBench:
    """The database broker on SQLite; while it stands, the database itself refuses every illegal move."""

    def __init__(self) -> None:
        if str(connection.settings_dict["NAME"]) != str(connection.settings_dict["TEST"]["NAME"]):
            raise RuntimeError(f"{connection.settings_dict['NAME']} is no test database; a bench would empty it")
        self.broker: Broker = DatabaseBroker("default")
        self._real_now = clock.now
        self._ahead = timedelta(0)

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)

    def record(self, job_id: UUID) -> Record | None:
        job = Job.objects.filter(id=job_id).first()
        if job is None:
            return None
        timeline = list(Attempt.objects.filter(job=job_id).order_by("id").values_list("number", "outcome"))
        values = (job.run, job.attempts, job.starts, job.lost, job.error, job.reason, job.result)
        return Record(State(job.state), *values, timeline)

    def counters(self, queue: str) -> dict[str, int]:
        names = ("completed", "failed", "retried", "lost", "cancelled", "expired")
        sums = QueueStat.objects.filter(queue=queue).aggregate(**{name: Sum(name) for name in names})
        return {name: number for name, number in sums.items() if number}

    def clear(self) -> None:
        with connection.cursor() as cursor:
            for table in ("attempt", "job", "queuestate", "queuestat", "worker"):
                cursor.execute(f"DELETE FROM jobs_{table}")

    @contextmanager
    def standing(self) -> Iterator[SqliteBench]:
        patch = pytest.MonkeyPatch()
        patch.setattr(clock, "now", lambda: self._real_now() + self._ahead)
        self.clear()
        with connection.cursor() as cursor:
            cursor.execute(_refuse_illegal_moves())
        try:
            yield self
        finally:
            patch.undo()
            self.broker.close()
            with connection.cursor() as cursor:
                cursor.execute("DROP TRIGGER refuse_illegal_moves")
            self.clear()


def _refuse_illegal_moves() -> str:
    legal = " OR ".join(
        f"(OLD.state = '{old}' AND NEW.state = '{new}')" for old in State for new in sorted({old, *MOVES[old]})
    )
    return (
        "CREATE TRIGGER refuse_illegal_moves BEFORE UPDATE OF state ON jobs_job "
        f"WHEN NOT ({legal}) BEGIN SELECT RAISE(ABORT, 'illegal move'); END"
    )


BENCHES = {"sqlite": SqliteBench}


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Bench]:
    # `transactional_db` and nothing less: without it pytest-django makes no test database, and a bench empties tables
    with BENCHES[request.param]().standing() as standing:
        yield standing


@pytest.fixture
def broker(bench: Bench) -> Broker:
    return bench.broker


@pytest.fixture
def hands(bench: Bench) -> Hands:
    """What a test does with a broker, in short words."""
    return Hands(bench.broker)
