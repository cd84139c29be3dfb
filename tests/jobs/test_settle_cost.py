"""What a settlement costs, counted in what the database does for it, not in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from jobs.broker.database.broker import DatabaseBroker
from jobs.broker.database.postgresql import connection as postgresql_connection
from jobs.broker.database.statements import join_parts, load_statements
from jobs.broker.records import Completed
from tests.contract.hands import Hands
from tests.databases import postgresql_as_default, statistics_of_jobs

pytestmark = pytest.mark.django_db(transaction=True)

JOBS = 40


@pytest.mark.sqlite
@pytest.mark.parametrize("statement", ["complete_job", "fail_job", "give_up_job"])
def test_on_sqlite_an_ending_makes_no_table_for_its_answer(statement: str) -> None:
    broker = DatabaseBroker("default")
    try:
        nothing: defaultdict[str, None] = defaultdict(lambda: None)
        own = broker._database._open()  # type: ignore[attr-defined]
        program = own.execute(f"EXPLAIN {load_statements('sqlite')[statement]}", nothing).fetchall()
    finally:
        broker.close()
    steps = [row[1] for row in program]
    # the list of the known states in the table's CHECK is one
    assert steps.count("OpenEphemeral") == 1


@pytest.fixture
def hands(transactional_db: None) -> Iterator[Hands]:
    with postgresql_as_default():
        broker = DatabaseBroker("default")
        yield Hands(broker)
        broker.close()


def test_on_postgresql_what_is_settled_is_not_compared_pair_by_pair(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    # others wait, too: a table of these few is sooner compared pair by pair than looked up
    with statistics_of_jobs("all", lambda: hands.push_all([hands.new_job() for _ in range(25 * JOBS)])):
        plan = plan_of_settling(hands, monkeypatch)
    settled = [node["Actual Rows"] for node in nodes(plan) if node.get("Subplan Name") == "CTE settled"]
    assert settled == [JOBS]
    assert sum(node.get("Rows Removed by Join Filter", 0) for node in nodes(plan)) == 0


def plan_of_settling(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """How PostgreSQL settles so many jobs in one exchange."""
    wishes = [hands.settlement(job, Completed()) for job in hands.claim(JOBS)]
    plans: list[dict[str, Any]] = []
    original = postgresql_connection.PostgresqlTrip.run_parts

    def explain(self: Any, *names: str, **values: Any) -> list[Any]:
        with self._cursor.connection.transaction(force_rollback=True):
            sql = join_parts("postgresql", "exchange_parts", *names)
            self._cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
            ((found,),) = self._cursor.fetchall()
            plans.append(found[0]["Plan"])
        return original(self, *names, **values)

    monkeypatch.setattr(postgresql_connection.PostgresqlTrip, "run_parts", explain)
    answer = hands.broker.exchange(hands.worker, hands.policy, wishes, 0, number=next(hands.numbers))
    assert all(settled.counted for settled in answer.settled)
    (plan,) = plans
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's node and all below it."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)
