"""The past ticks of a schedule, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..broker import get_broker
from ..conf import jobs_settings
from ..define.ticks import SCHEDULE
from ..errors import InvalidPolicy
from ..history import lookup
from ..history.plans import by_index
from ..history.verdict import seconds_between
from ..models import Job, Schedule
from ..rules.rule import SECOND
from ..states import State
from .schedules import defined_schedules, rule_of

#: Ticks that are told of.
SHOWN = 60
#: In place of a job's state: the tick has made none.
NO_JOB = "no_job"


@dataclass(frozen=True, slots=True)
class PastRun:
    """A tick that is past, or a run by hand: when it was, and its job as it stands; None: there is none.

    `state` is the shown state of the job, or `NO_JOB`; `delay` the seconds from the tick to its last start, `ran` those
    that it ran, as far as they are known.
    """

    at: datetime
    job: Job | None
    state: str
    delay: float | None = None
    ran: float | None = None
    by_hand: bool = False


def past_runs(row: Schedule, most: int = SHOWN) -> list[PastRun]:
    """The last runs of a schedule, the latest first.

    By its present rule it is said which ticks made no job: those behind the first run that is still kept, and behind
    the oldest completed job that its queue still keeps. Whether they were missed, left out, or the schedule was off, is
    not told apart.
    """
    now = get_broker().now()
    rows = lookup.about(lookup.all_jobs().defer("result"), [SCHEDULE], [str(row.pk)])
    with by_index(jobs_settings().database):
        jobs = lookup.as_they_read(list(rows.order_by("-pk")[:most]))
    at = {job.pk: _tick_of(job) for job in jobs}
    if not jobs:
        return []
    ticks = _ticks(row, min(at.values()) - SECOND, now, most)
    found = [_run(job, at[job.pk], now) for job in jobs]
    since = _kept_since(jobs[0].queue)
    if since is not None:
        made = set(at.values())
        found += [PastRun(tick, None, NO_JOB) for tick in ticks if tick not in made and tick > since]
    return sorted(found, key=lambda one: one.at, reverse=True)[:most]


def _tick_of(job: Job) -> datetime:
    """When the tick was, which its event's id says."""
    if job.event_id is None:
        return job.created_at
    return datetime.fromtimestamp((job.event_id.int >> 80) / 1000, UTC)


def _ticks(row: Schedule, since: datetime, now: datetime, most: int) -> list[datetime]:
    """The ticks that have been looked at, by the present rule."""
    try:
        rule = rule_of(row, defined_schedules())
    except InvalidPolicy:
        return []
    return [] if rule is None else rule.due(since, min(now, row.last_tick), most)


def _run(job: Job, at: datetime, now: datetime) -> PastRun:
    ran = seconds_between(job.started_at, job.ended_at)
    delay = seconds_between(at, job.started_at)
    # ticks are whole seconds
    by_hand = at.microsecond != 0
    return PastRun(at, job, job.shown_state(now), None if delay is None else max(0.0, delay), ran, by_hand)


def _kept_since(queue: str) -> datetime | None:
    """Since when the queue's completed jobs are kept; None: none is."""
    rows = lookup.all_jobs().filter(queue=queue, state=State.COMPLETED, ended_at__isnull=False)
    with by_index(jobs_settings().database):
        oldest: datetime | None = rows.order_by("ended_at", "id").values_list("ended_at", flat=True).first()
    return None if oldest is None else oldest - timedelta(seconds=1)
