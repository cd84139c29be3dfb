"""Providers: what tasks call, with the breaker and the limit of that name, what the calls came to, and who waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections

from .. import clock
from ..broker.contract import COUNT_LIMIT
from ..broker.database.statements import load_statements
from ..broker.database.values import text_of
from ..broker.tally import BOUNDS, quantile
from ..conf import jobs_settings
from ..defined import queues
from ..errors import BrokerAway
from ..models import ProviderFailure, TaskStat
from . import live, lookup
from .breakers import SeenBreaker, breakers
from .limits import SharedLimit, shared_limits
from .lookup import Capped
from .provider_calls import CALLS, FAILED

#: Hours that are told of, the present one among them.
HOURS = 24


@dataclass(slots=True)
class Calls:
    """The calls of the last 24 hours; `hours` counts them by hour, the present one last, and those that failed."""

    by_outcome: Counter[str] = field(default_factory=Counter)
    classes: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    milliseconds: int = 0
    hours: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in range(HOURS)])

    @property
    def number(self) -> int:
        """How many there were."""
        return self.by_outcome.total()

    @property
    def failed_share(self) -> float:
        """Which part of them failed, from 0 to 1."""
        return self.by_outcome[FAILED] / self.number if self.number else 0.0

    @property
    def mean(self) -> float | None:
        """Seconds that one took, on average."""
        return self.milliseconds / self.number / 1_000 if self.number else None

    @property
    def slowest(self) -> float | None:
        """Seconds within which 95 of 100 had ended, as far as the classes of time tell."""
        found = quantile(self.classes, 0.95)
        return None if found is None else found / 1_000


@dataclass(frozen=True, slots=True)
class LastFailure:
    """How the last call that failed did: the type of its error, and of a job the error's text, if it is still kept."""

    error_type: str
    at: datetime
    job_id: UUID | None
    error: str


@dataclass(frozen=True, slots=True)
class SeenProvider:
    """A provider as it stands. `tasks`: those with its breaker or limit; `waiting`: how many due jobs of these wait.

    With the jobs in Redis `waiting` is as late as the history.
    """

    name: str
    tasks: tuple[str, ...]
    breaker: SeenBreaker | None
    limit: SharedLimit | None
    calls: Calls
    failure: LastFailure | None
    waiting: Capped


def providers() -> list[SeenProvider]:
    """All that tasks name as a breaker or a shared limit, or that was called in the last 24 hours, by their names.

    Without the limits' numbers while the broker is away.
    """
    seen_breakers = {one.breaker.name: one for one in breakers()}
    try:
        seen_limits = {one.limit.name: one for one in shared_limits()}
        live.hear()
    except BrokerAway:
        seen_limits = {}
    calls = calls_by_provider()
    names = sorted({*seen_breakers, *seen_limits, *calls})
    failures = _last_failures(names)
    due = _due_by_task() if seen_breakers or seen_limits else {}
    found = []
    for name in names:
        breaker, limit = seen_breakers.get(name), seen_limits.get(name)
        tasks = sorted({*(breaker.tasks if breaker else ()), *(limit.tasks if limit else ())})
        waiting = sum(due.get(task, 0) for task in tasks)
        number = Capped(min(waiting, COUNT_LIMIT), more=waiting >= COUNT_LIMIT)
        given = calls.get(name) or Calls()
        found.append(SeenProvider(name, tuple(tasks), breaker, limit, given, failures.get(name), number))
    return found


def calls_by_provider() -> dict[str, Calls]:
    """The calls of the last 24 hours, by provider."""
    this_hour = clock.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = this_hour - timedelta(hours=HOURS - 1)
    rows = TaskStat.objects.using(jobs_settings().database).filter(queue=CALLS, hour__gte=first).order_by()
    found: dict[str, Calls] = {}
    for name, outcome, ran, hour, jobs, ran_ms in rows.values_list("task", "outcome", "ran", "hour", "jobs", "ran_ms"):
        one = found.setdefault(name, Calls())
        one.by_outcome[outcome] += jobs
        one.classes[ran] += jobs
        one.milliseconds += ran_ms
        # one whose clock is ahead has counted in an hour that has not begun
        place = min(HOURS - 1, (hour - first) // timedelta(hours=1))
        one.hours[place][0] += jobs
        one.hours[place][1] += jobs if outcome == FAILED else 0
    return found


def _last_failures(names: Sequence[str]) -> dict[str, LastFailure]:
    rows = list(ProviderFailure.objects.using(jobs_settings().database).filter(provider__in=names))
    ids = [row.job_id for row in rows if row.job_id is not None]
    jobs = {job.pk: job for job in lookup.all_jobs().filter(pk__in=ids).defer("result")}
    found = {}
    for row in rows:
        job = None if row.job_id is None else jobs.get(row.job_id)
        text = "" if job is None else lookup.mask_of(job)(job.error)
        # a later attempt of the job may have failed otherwise
        text = text if text.startswith(row.error_type) else ""
        found[row.provider] = LastFailure(row.error_type, row.at, row.job_id if job else None, text)
    return found


def _due_by_task() -> Mapping[str, int]:
    connection = connections[jobs_settings().database]
    statement = load_statements(connection.vendor)["count_due_by_task"]
    found = Counter[str]()
    with connection.cursor() as cursor:
        for queue in queues().values():
            if not (queue.policy.limits or queue.policy.breakers):
                continue
            values: dict[str, Any] = {"queue": queue.name, "now": text_of(clock.now()), "most": COUNT_LIMIT}
            cursor.execute(statement, values)
            for task, number in cursor.fetchall():
                defined = queue.find_own_task(task)
                found[defined.name if defined else task] += number
    # rows of jobs that run say `queued` where a broker outside the database keeps them
    running = live.active_ids()
    if running:
        found.subtract(lookup.all_jobs().filter(pk__in=running, state="queued").values_list("task", flat=True))
    return {task: max(0, number) for task, number in found.items()}
