"""Which circuit breakers the tasks have, and how each of them stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import connections
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from .. import clock
from ..broker.database.statements import load_statements
from ..conf import jobs_settings
from ..defined import queues
from ..models import BreakerState
from ..policy import Breaker


class Stand(StrEnum):
    """How a breaker stands: `half_open` while one job probes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class SeenBreaker:
    """A breaker, its tasks and how it stands (`closed`, `open` or `half_open`) since when, by the database's clock.

    `failures` counts those of the last `breaker.within` seconds; from `next_probe` on a job may probe. One that was
    opened `by_hand` stays open until it is closed by hand.
    """

    breaker: Breaker
    state: str
    since: datetime | None
    by_hand: bool
    failures: int
    next_probe: datetime | None
    tasks: tuple[str, ...]


def breakers() -> list[SeenBreaker]:
    """The breakers that tasks of this project name, by their names."""
    tasks: dict[str, list[str]] = {}
    for task in (task for queue in queues().values() for task in queue.tasks.values()):
        for breaker in task.breakers:
            tasks.setdefault(breaker.name, []).append(task.name)
    rules = all_rules()
    if not rules:
        return []
    rows, now = {row.name: row for row in rows_of(rules)}, database_now()
    return [
        _seen(rule, rows.get(name, BreakerState(name=name)), now, tuple(sorted(tasks[name])))
        for name, rule in sorted(rules.items())
    ]


def all_rules() -> dict[str, Breaker]:
    """The breakers of all tasks, by name."""
    tasks = (task for queue in queues().values() for task in queue.tasks.values())
    return {breaker.name: breaker for task in tasks for breaker in task.breakers}


def rows_of(names: Iterable[str]) -> list[BreakerState]:
    """What is kept of these."""
    return list(BreakerState.objects.using(jobs_settings().database).filter(name__in=list(names)))


def database_now() -> datetime:
    """The time of the jobs' database; for SQLite the machine's."""
    connection = connections[jobs_settings().database]
    if connection.vendor == "sqlite":
        return clock.now()
    with connection.cursor() as cursor:
        cursor.execute(load_statements(connection.vendor)["read_clock"])
        moment: datetime = cursor.fetchone()[0]
    return moment


def text_of_state(one: SeenBreaker) -> str:
    """How it stands, as people read it."""
    if one.by_hand:
        return _("opened by hand")
    words = {
        Stand.CLOSED: pgettext("breaker", "closed"),
        Stand.OPEN: pgettext("breaker", "open"),
        Stand.HALF_OPEN: _("half open: one job tries"),
    }
    return words[Stand(one.state)]


def _seen(rule: Breaker, row: BreakerState, now: datetime, tasks: tuple[str, ...]) -> SeenBreaker:
    stand = Stand.CLOSED
    if row.opened_at is not None:
        stand = Stand.HALF_OPEN if row.is_probed(rule, now) else Stand.OPEN
    failures = len(row.failures(rule, now))
    return SeenBreaker(rule, stand.value, row.opened_at, row.by_hand, failures, row.probe_at, tasks)
