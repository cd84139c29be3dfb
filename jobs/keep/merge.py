"""Duty: write the facts of a broker that is not the rows into the history, and let it forget them a minute later."""

from __future__ import annotations

from collections import deque

from .. import clock
from ..broker import get_broker
from ..broker.contract import Broker
from ..history import facts
from ..history.live import policy_of
from ..policy import QueuePolicy
from .each import each_queue

#: Seconds between two runs, and after one that found something.
INTERVAL, SOON = 0.5, 0.05
#: Transactions of one queue a run: the keeper's other duties wait for it.
MOST = 5
#: Seconds for which facts wait while others come in quick succession, and for which a job lives without a row.
CALM, AGE = 1.0, 2.0
#: Seconds for which an id is remembered after the history holds its end: longer than any push of its row can take.
REMEMBER = 60.0


class Forgetting:
    """The positions that this process committed, and since when by its own clock; it lets go only of those."""

    def __init__(self) -> None:
        self._committed: dict[str, deque[tuple[float, tuple[str, str]]]] = {}

    def wants(self, queue: str) -> bool:
        """Whether to note the queue's position: once a second is enough."""
        committed = self._committed.get(queue)
        return not committed or clock.monotonic() - committed[-1][0] >= 1.0

    def note(self, queue: str, position: tuple[str, str]) -> None:
        """The history holds the queue's facts up to this position now."""
        self._committed.setdefault(queue, deque()).append((clock.monotonic(), position))

    def due(self, queue: str) -> tuple[str, str] | None:
        """The last position that the history has held for long enough, once."""
        committed: deque[tuple[float, tuple[str, str]]] = self._committed.get(queue, deque())
        position = None
        while committed and clock.monotonic() - committed[0][0] >= REMEMBER:
            position = committed.popleft()[1]
        return position


_forgetting = Forgetting()


def run() -> int:
    """Merge once; returns how many facts the history took."""
    broker = get_broker()
    if broker.rows_are_the_queue:
        return 0
    names = sorted(broker.queues())
    return each_queue("merge", names, lambda name: merge_queue(broker, policy_of(name), _forgetting, CALM, AGE))


def merge_queue(
    broker: Broker, policy: QueuePolicy, forgetting: Forgetting, calm: float = 0.0, age: float = 0.0
) -> int:
    """Merge the facts of one queue; returns how many. Any number of keepers may do so.

    `calm` and `age`: see `Broker.read_facts`.
    """
    # first: that needs no database, which may be away
    if due := forgetting.due(policy.name):
        broker.forget_facts(policy.name, *due)
    merged = facts.catch_up(broker, policy, MOST, calm=calm, age=age)
    if forgetting.wants(policy.name) and (position := facts.position(policy.name))[1]:
        forgetting.note(policy.name, position)
    return merged
