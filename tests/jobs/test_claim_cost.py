"""What a claim costs does not depend on how much waits: counted in the database's own steps, not in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from jobs.broker.database.broker import DatabaseBroker
from jobs.broker.database.postgresql import connection as postgresql_connection
from jobs.broker.database.statements import join_parts
from tests.contract.hands import Hands
from tests.databases import postgresql_as_default

pytestmark = pytest.mark.django_db(transaction=True)

FEW, MANY, LIMIT = 1_000, 10_000, 1.3

Fill = Callable[[Hands, int], None]


def push(hands: Hands, number: int, **options: Any) -> None:
    for _ in range(number // 1_000):
        hands.push_all([hands.new_job(**options) for _ in range(1_000)])


def of_one_priority(hands: Hands, number: int) -> None:
    push(hands, number)


def over_ten_priorities(hands: Hands, number: int) -> None:
    for _ in range(number // 1_000):
        hands.push_all([hands.new_job(priority=1 + i % 10) for i in range(1_000)])


def behind_delayed_ones(hands: Hands, number: int) -> None:
    push(hands, number, priority=1, delay=3_600)
    push(hands, 1_000)


WAITING = pytest.mark.parametrize("fill", [of_one_priority, over_ten_priorities, behind_delayed_ones])


@pytest.mark.sqlite
@WAITING
def test_on_sqlite_a_claim_takes_as_many_steps_with_many_jobs_waiting_as_with_few(fill: Fill) -> None:
    broker = DatabaseBroker("default")
    hands = Hands(broker)
    try:
        fill(hands, FEW)
        few = virtual_steps(broker, hands)
        fill(hands, MANY)
        assert virtual_steps(broker, hands) <= LIMIT * few
    finally:
        broker.close()


def virtual_steps(broker: Any, hands: Hands) -> int:
    """How many instructions SQLite's machine ran for a claim of ten."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    hands.claim(10)
    own = broker._database._open()
    own.set_progress_handler(count, 1)
    try:
        assert len(hands.claim(10)) == 10
    finally:
        own.set_progress_handler(None, 0)
    return steps


@pytest.fixture
def postgresql(transactional_db: None) -> Iterator[None]:
    with postgresql_as_default():
        empty()
        yield
        empty()


def empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_attempt, jobs_job, jobs_queuestate, jobs_taskstat, jobs_process")


@WAITING
def test_on_postgresql_a_claim_touches_as_many_pages_with_many_jobs_waiting_as_with_few(
    postgresql: None, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = DatabaseBroker("default")
    hands = Hands(broker)
    try:
        fill(hands, FEW)
        few = pages(hands, monkeypatch)
        fill(hands, MANY)
        assert pages(hands, monkeypatch) <= LIMIT * few
    finally:
        broker.close()


def pages(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many pages the statement of a claim of ten reads, on fresh statistics; it is rolled back."""
    ran: list[tuple[str, dict[str, Any]]] = []
    original = postgresql_connection.PostgresqlTrip.run_parts

    def spy(self: Any, *names: str, **values: Any) -> list[Any]:
        ran.append((join_parts("postgresql", "exchange_parts", *names), values))
        return original(self, *names, **values)

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE jobs_job")
    with monkeypatch.context() as patch:
        patch.setattr(postgresql_connection.PostgresqlTrip, "run_parts", spy)
        hands.claim(10)
    ((sql, values),) = ran
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", values)
        ((found,),) = cursor.fetchall()
        transaction.set_rollback(True)
    plan = found[0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])
