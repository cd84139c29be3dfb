"""Whether jobs can be accepted and are looked after: what a load balancer or an orchestrator asks every few seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from django.db import Error, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from ... import clock
from ...broker import get_broker
from ...conf import jobs_settings
from ...errors import BrokerAway, InvalidOption
from ...models import Process
from .finding import LIMITS
from .processes import findings_of_keepers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Readiness:
    """One thing that must be well: `name` is a word for machines, `problem` is empty where it is."""

    name: str
    problem: str = ""


def readiness(leave_out: Iterable[str] = ()) -> list[Readiness]:
    """Whether the database answers, all migrations are applied, the broker answers, and a keeper is at work.

    In this order, by the names `store`, `migrations`, `broker` and `keeper`; what another one of them needs is not
    asked where that is away. `leave_out` names those that are not to be looked at. A few milliseconds, whatever the
    tables hold. Raises `InvalidOption` for a name that is none of these.
    """
    unknown = sorted(set(leave_out) - _CHECKS.keys())
    if unknown:
        raise InvalidOption(f"nothing of readiness is called {unknown[0]!r}; these are: {', '.join(_CHECKS)}")
    return [Readiness(name, _problem(name, check)) for name, check in _CHECKS.items() if name not in leave_out]


def _problem(name: str, check: Callable[[], str]) -> str:
    try:
        problem = check()
    except BrokerAway as error:
        logger.error("not_ready check=%s %s", name, " ".join(str(error).split()))
        return "away"
    except Error as error:
        logger.error("not_ready check=%s %s: %s", name, type(error).__name__, " ".join(str(error).split()))
        # an empty database lacks the tables: it answers, and has no migrations
        return "unknown" if name == "keeper" else "away"
    return problem


def _store() -> str:
    with connections[jobs_settings().database].cursor() as cursor:
        # SQLite opens its file only for a query that reads from it
        if connections[jobs_settings().database].vendor == "sqlite":
            cursor.execute("SELECT count(*) FROM sqlite_master")
        else:
            cursor.execute("SELECT 1")
        cursor.fetchone()
    return ""


def _migrations() -> str:
    connection = connections[jobs_settings().database]
    if not _known_migrations():
        return ""
    missing = _known_migrations() - MigrationRecorder(connection).applied_migrations().keys()
    return f"{len(missing)} missing" if missing else ""


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """Every migration that this code has and that none of the others replaces; read once: the files do not change."""
    loader = MigrationLoader(None)
    replaced = {key for migration in loader.disk_migrations.values() for key in migration.replaces}
    return frozenset(key for key in loader.disk_migrations if key not in replaced)


def _broker() -> str:
    get_broker().now()
    return ""


def _keeper() -> str:
    # by this machine's clock where the broker is away: it is told of by its own name
    try:
        now = get_broker().now()
    except BrokerAway:
        now = clock.now()
    alive = list(Process.objects.using(jobs_settings().database).filter(kind="keeper", lease_until__gt=now))
    if not alive:
        return "none"
    return "stands still" if len(findings_of_keepers(alive, now, LIMITS)) == len(alive) else ""


_CHECKS: dict[str, Callable[[], str]] = {
    "store": _store,
    "migrations": _migrations,
    "broker": _broker,
    "keeper": _keeper,
}
