"""What the queues did in past hours, from the counters that outlive the jobs: how many, how they ended, how long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from django.db.models import Sum

from ..broker.tally import BOUNDS, ENDS, LOST, RETRIED
from ..conf import jobs_settings
from ..models import TaskStat

COMPLETED, FAILED = ENDS[0], ENDS[1]
CLASSES = len(BOUNDS) + 1


@dataclass(frozen=True, slots=True)
class Between:
    """A length of time as far as it is known: above `low` and not above `high`, in seconds; None: nobody knows.

    `seconds` lies between them, as if all that is in the class were spread evenly; None where the class has no end.
    """

    low: float
    high: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted together: jobs by outcome, and starts by the class of time that they ran and had waited."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    ran: Sequence[int] = (0,) * CLASSES
    waited: Sequence[int] = (0,) * CLASSES

    @property
    def attempts(self) -> int:
        """Attempts that ended well or badly."""
        return sum(self.outcomes.get(one, 0) for one in (COMPLETED, RETRIED, FAILED))

    @property
    def ended(self) -> int:
        """Jobs that ended, however."""
        return sum(self.outcomes.get(one, 0) for one in ENDS)

    @property
    def error_rate(self) -> float | None:
        """Which part of the attempts failed, for good or to be tried again; None: there was none."""
        bad = self.outcomes.get(RETRIED, 0) + self.outcomes.get(FAILED, 0)
        return bad / self.attempts if self.attempts else None

    @property
    def lost(self) -> int:
        """Starts whose worker process died."""
        return self.outcomes.get(LOST, 0)


def sum_of(parts: Iterable[Figures]) -> Figures:
    """All of it together."""
    sheet = _Sheet()
    for part in parts:
        for outcome, jobs in part.outcomes.items():
            sheet.outcomes[outcome] += jobs
        for place in range(CLASSES):
            sheet.ran[place] += part.ran[place]
            sheet.waited[place] += part.waited[place]
    return sheet.figures()


def percentile(counts: Sequence[int], part: float) -> Between | None:
    """The time that so large a `part` (0 to 1) of the starts did not pass; `counts` by class. None: there are none."""
    whole = sum(counts)
    if not whole:
        return None
    rank = part * whole
    place = next(i for i, below in enumerate(accumulate(counts)) if below >= rank and counts[i])
    low = BOUNDS[place - 1] / 1_000 if place else 0.0
    if place == len(BOUNDS):
        return Between(low, None, None)
    high = BOUNDS[place] / 1_000
    before = sum(counts[:place])
    return Between(low, high, low + (high - low) * (rank - before) / counts[place])


def figures_by_hour(since: datetime, until: datetime | None = None) -> dict[str, dict[datetime, Figures]]:
    """By queue and hour, from the hour that begins at `since` on; without `until` and later ones."""
    rows = TaskStat.objects.using(jobs_settings().database).filter(hour__gte=since).order_by()
    if until is not None:
        rows = rows.filter(hour__lt=until)
    sheets: defaultdict[str, defaultdict[datetime, _Sheet]] = defaultdict(lambda: defaultdict(_Sheet))
    # in SQL the tasks are put together, and the parts of an hour
    for name, hour, outcome, ran, waited, jobs in rows.values_list(
        "queue", "hour", "outcome", "ran", "waited"
    ).annotate(Sum("jobs")):
        sheets[name][hour].add(outcome, ran, waited, jobs)
    return {name: {hour: sheet.figures() for hour, sheet in hours.items()} for name, hours in sheets.items()}


def figures_by_task(since: datetime, queue: str) -> dict[str, Figures]:
    """By task of a queue, from the hour that begins at `since` on."""
    rows = TaskStat.objects.using(jobs_settings().database).filter(hour__gte=since, queue=queue).order_by()
    sheets: defaultdict[str, _Sheet] = defaultdict(_Sheet)
    for task, outcome, ran, waited, jobs in rows.values_list("task", "outcome", "ran", "waited").annotate(Sum("jobs")):
        sheets[task].add(outcome, ran, waited, jobs)
    return {task: sheet.figures() for task, sheet in sheets.items()}


class _Sheet:
    __slots__ = ("outcomes", "ran", "waited")

    def __init__(self) -> None:
        self.outcomes: defaultdict[str, int] = defaultdict(int)
        self.ran = [0] * CLASSES
        self.waited = [0] * CLASSES

    def add(self, outcome: str, ran: int, waited: int, jobs: int) -> None:
        self.outcomes[outcome] += jobs
        if 0 <= ran < CLASSES and 0 <= waited < CLASSES:
            self.ran[ran] += jobs
            self.waited[waited] += jobs

    def figures(self) -> Figures:
        return Figures(dict(self.outcomes), tuple(self.ran), tuple(self.waited))
