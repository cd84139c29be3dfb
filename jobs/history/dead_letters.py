"""What the facts of a broker outside the database tell of the causes of dead letters."""

from __future__ import annotations

from collections.abc import Sequence

from ..broker.database.causes import CauseRow
from ..broker.database.merged import Row
from ..broker.facts import Fact
from ..fingerprint import cause_of
from ..states import State


def rows_of_causes(facts: Sequence[Fact], rows: tuple[list[Row], list[Row]], void: Sequence[Fact]) -> list[CauseRow]:
    """What the dead letters among these rows are grouped by, as far as these facts tell."""
    last = {fact.job: fact for fact in facts if fact.state is State.FAILED and fact.before and fact not in void}
    if not last:
        return []
    dead = []
    for row in (row for each in rows for row in each if row.state == State.FAILED):
        fact = last.get(row.id)
        if fact is None or fact.before is None or fact.run != row.run:
            continue
        start = fact.start
        cause = cause_of(fact.before.job.task, row.error, start.traceback if start else "")
        dead.append(CauseRow(id=row.id, run=row.run, cause=cause, release=start.release if start else ""))
    return dead
