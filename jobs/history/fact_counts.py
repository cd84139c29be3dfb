"""What the facts of a broker outside the database count, by the hour."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from ..broker.facts import Fact, FactPage, Step
from ..broker.records import Retried
from ..states import ENDED, State


def counts_of(
    pages: Iterable[FactPage], corrections: Iterable[Mapping[datetime, Mapping[str, int]]], facts: Iterable[Fact]
) -> Mapping[datetime, Mapping[str, int]]:
    """The counters that these facts move, by hour; `corrections` are of what was told wrongly."""
    hours: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
    for by_hour in [*(page.counted for page in pages), *corrections]:
        for hour, counts in by_hour.items():
            hours[hour].update(counts)
    for one in (one for page in pages for one in page.counters):
        numbers = {"completed": one.completed, "retried": one.retried}
        hours[one.hour].update(numbers, ran_ms=one.ran_ms, waited_ms=one.waited_ms)
    for fact in facts:
        if fact.rest is not None:
            continue
        numbers = hours[fact.at.replace(minute=0, second=0, microsecond=0)]
        if fact.step is Step.LOST:
            numbers["lost"] += 1
        # a refused retry stays the dead letter that was counted when its last run failed
        is_refused_retry = fact.step is Step.REFUSED and fact.state is State.FAILED
        if fact.state in ENDED and fact.step is not Step.DISCARDED and not is_refused_retry:
            numbers[fact.state.value] += 1
        if fact.step is Step.DISCARDED:
            numbers["discarded"] += 1
        if (start := fact.start) is not None:
            numbers["retried"] += start.outcome is Retried and fact.state is State.QUEUED
            numbers["ran_ms"] += start.ran
            numbers["waited_ms"] += start.waited
    return {hour: counts for hour, counts in hours.items() if any(counts.values())}
