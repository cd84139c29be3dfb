"""What was set of a queue's limits at run time: columns of its row, where NULL means nothing and 0 no limit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ...policy import AS_IN_CODE, AS_THE_CODE_SAYS, InCode, QueueLimits, QueuePolicy, RateLimit
from .connection import JobsDatabase, Trip
from .reach import reaching


class Limited:
    """The broker's part in it. `_limits`: by queue, what this process saw last."""

    _database: JobsDatabase

    def __init__(self) -> None:
        self._limits: defaultdict[str, QueueLimits] = defaultdict(lambda: AS_THE_CODE_SAYS)

    @reaching
    def set_limits(self, queue: str, limits: QueueLimits) -> None:
        """Let these limits hold from the next claim on; see the contract."""
        with self._database.write_synced() as trip:
            trip.change("set_limits", queue=queue, **columns_of(limits))
            trip.told.add(queue)

    @reaching
    def limits(self, queue: str) -> QueueLimits:
        """What was set of the queue's limits at run time."""
        with self._database.read() as trip:
            self._limits[queue] = limits = read_limits(trip, queue)
        return limits

    def _as_seen(self, policy: QueuePolicy) -> QueuePolicy:
        return self._limits[policy.name].over(policy)


def read_limits(trip: Trip, queue: str) -> QueueLimits:
    """What was set of a queue's limits."""
    found = trip.run("read_limits", queue=queue)
    return limits_of(found[0]) if found else AS_THE_CODE_SAYS


def limits_of(columns: Sequence[Any]) -> QueueLimits:
    """What these columns mean: rate_limit, rate_per, concurrency, global_concurrency."""
    if columns == (None, None, None, None):
        return AS_THE_CODE_SAYS
    limit, per, concurrency, most = columns
    rate_limit: RateLimit | None | InCode = RateLimit(limit, per) if limit else _none_or_code(limit)
    return QueueLimits(rate_limit, concurrency or AS_IN_CODE, most or _none_or_code(most))


def columns_of(limits: QueueLimits) -> dict[str, int | float | None]:
    """The same the other way round, by name."""
    rate, threads, most = limits.rate_limit, limits.concurrency, limits.global_concurrency
    return {
        "rate_limit": rate.limit if isinstance(rate, RateLimit) else _zero_or_null(rate),
        "rate_per": rate.per if isinstance(rate, RateLimit) else None,
        "concurrency": None if isinstance(threads, InCode) else threads,
        "global_concurrency": most if isinstance(most, int) else _zero_or_null(most),
    }


def _none_or_code(column: int | None) -> InCode | None:
    return AS_IN_CODE if column is None else None


def _zero_or_null(value: InCode | None) -> int | None:
    return 0 if value is None else None
