"""What the facts of a broker outside the database count, by the hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from ..broker.database.outcomes import ATTEMPT_OUTCOME
from ..broker.facts import Fact, FactPage, Step
from ..broker.records import Retried
from ..broker.tally import DISCARDED, LOST, RETRIED, Cell, Sums, Tally
from ..states import ENDED, State


def counts_of(
    pages: Iterable[FactPage],
    corrections: Iterable[Mapping[datetime, Tally]],
    facts: Iterable[Fact],
    tasks: Mapping[UUID, str],
) -> Mapping[datetime, Tally]:
    """The counters that these facts move, by hour; `corrections` are of what was told wrongly.

    `tasks` says whose it is of jobs of which a fact does not tell it.
    """
    hours: defaultdict[datetime, Tally] = defaultdict(Tally)
    for by_hour in [*(page.counted for page in pages), *corrections]:
        for hour, counts in by_hour.items():
            hours[hour].update(counts)
    for one in (one for page in pages for one in page.counters):
        # of what shrank neither the task nor single times are left
        hours[one.hour].add_sums(Cell("", State.COMPLETED.value), Sums(one.completed, one.ran_ms, one.waited_ms))
        hours[one.hour].add_sums(Cell("", RETRIED), Sums(one.retried))
    for fact in facts:
        if fact.rest is None:
            task = fact.before.job.task if fact.before is not None else tasks.get(fact.job, "")
            _count(hours[fact.at.replace(minute=0, second=0, microsecond=0)], fact, task)
    return {hour: counts for hour, counts in hours.items() if counts}


def _count(tally: Tally, fact: Fact, task: str) -> None:
    if fact.step is Step.LOST:
        tally.add(task, LOST)
    if fact.step is Step.DISCARDED:
        tally.add(task, DISCARDED)
        return
    # a refused retry stays the dead letter that was counted when its last run failed
    if fact.step is Step.REFUSED and fact.state is State.FAILED:
        return
    start = fact.start
    if fact.state in ENDED:
        counted_as = fact.state.value
    elif start is None or fact.state is not State.QUEUED:
        return
    else:
        counted_as = RETRIED if start.outcome is Retried else ATTEMPT_OUTCOME[start.outcome]
    if start is not None and start.started_at is not None:
        tally.add_start(task, counted_as, start.ran, start.waited)
    elif fact.state in ENDED or counted_as == RETRIED:
        tally.add(task, counted_as)
