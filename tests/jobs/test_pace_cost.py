"""What a claim of a limited queue costs does not depend on how much its limit has granted: counted, not timed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from jobs.broker import get_broker
from jobs.models import Grant, QueueState
from jobs.policy import QueuePolicy, RateLimit
from tests.contract.hands import Hands

FEW, MANY, LIMIT = 100, 3_000, 1.3
DAY = 86_400


def grant(number: int, *, ended: int = 0) -> QueuePolicy:
    """A queue whose limit has granted so many slots, one a row, over the day; as many of them as `ended` are over."""
    now = get_broker().now()
    Grant.objects.all().delete()
    rows = []
    for place in range(number):
        age = DAY * (1 + (ended - place) / number) if place < ended else DAY * (number - place) / (number + 1)
        at = now - timedelta(seconds=age)
        rows.append(Grant(queue="lane", number=1, granted_at=at, start_by=at))
    Grant.objects.bulk_create(rows, batch_size=1_000)
    QueueState.objects.update_or_create(queue="lane", defaults={"taken": number})
    return QueuePolicy("lane", rate_limit=RateLimit(number + 10 if not ended else number, per=DAY))


#: Told the same way by the first; with more time, too.
REST = [pytest.param(wanted, ended, marks=pytest.mark.slow) for wanted, ended in ((1, 0), (1, 50), (10, 0))]


@pytest.mark.parametrize(("wanted", "ended"), [(10, 50), *REST])
def test_a_claim_touches_as_many_rows_with_many_grants_as_with_few(each_database: str, wanted: int, ended: int) -> None:
    hands = Hands(get_broker())
    hands.push_all([hands.new_job() for _ in range(3 * wanted)])
    costs = []
    for number in (FEW, MANY):
        policy = grant(number, ended=ended)
        costs.append(cost_of_claim(hands, policy, wanted))
    assert costs[1] <= LIMIT * costs[0], costs


def test_a_look_at_a_full_window_reads_as_much_with_many_grants_as_with_few(each_database: str) -> None:
    hands = Hands(get_broker())
    hands.push()
    costs = []
    for number in (FEW, MANY):
        policy = QueuePolicy("lane", rate_limit=RateLimit(number, per=2 * grant(number).rate_limit.per))  # type: ignore[union-attr]
        costs.append(cost_of_claim(hands, policy, 0))
    assert costs[1] <= LIMIT * costs[0], costs


def test_a_table_of_grants_never_holds_more_rows_than_the_limit(each_database: str) -> None:
    hands = Hands(get_broker())
    policy = QueuePolicy("lane", rate_limit=RateLimit(3, per=0.001))
    hands.push_all([hands.new_job() for _ in range(40)])
    while hands.claim(2, policy=policy) or get_broker().counts("lane").waiting:
        assert Grant.objects.count() <= 3


def cost_of_claim(hands: Hands, policy: QueuePolicy, expected: int) -> int:
    """SQLite: the steps of its machine for a claim; PostgreSQL: the rows that it touched of the limiter's tables."""
    if connection.vendor == "sqlite":
        own, steps = hands.broker._database._open(), 0  # type: ignore[attr-defined]

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        own.set_progress_handler(count, 1)
        try:
            assert len(hands.claim(expected or 1, policy=policy)) == expected
        finally:
            own.set_progress_handler(None, 0)
        return steps
    with transaction.atomic(), connection.cursor() as cursor:
        # as on the broker's own connection
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        before = rows_touched(cursor)
        assert len(hands.claim(expected or 1, policy=policy)) == expected
        return rows_touched(cursor) - before


def rows_touched(cursor: Any) -> int:
    """In PostgreSQL's tables of the limiter, by this session, since it last told the server."""
    cursor.execute(
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0) + n_tup_ins + n_tup_upd + n_tup_del) "
        "FROM pg_stat_xact_user_tables WHERE relname IN ('jobs_grant', 'jobs_queuestate')"
    )
    return int(cursor.fetchone()[0])
