"""Findings about queues: nobody works them, they wait too long, nobody defines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Q, QuerySet, Sum, When
from django.utils.translation import gettext as _
from django.utils.translation import npgettext

from admin_lists.counts import CAP

from ...broker import get_broker
from ...broker.records import QueueCounts
from ...conf import jobs_settings
from ...errors import QueueBroken
from ...models import Job, Process, QueueState
from ...policy import AS_THE_CODE_SAYS
from ...states import LIVE, Shown, State
from .. import lookup
from ..limits import HeldLimits, held_limits, limits_of_row
from ..live import policy_of
from ..lookup import Capped
from ..verdict import duration, seconds_between
from .finding import Finding, Limits

#: Paused tags that a finding names.
MOST_TAGS = 5
#: So many queued jobs, the oldest ones, are looked at for those that were tried already: each is a row to read.
LOOKED_AT = 1_000


@dataclass(frozen=True)
class QueueReport:
    """A queue in numbers. `counts` come from the broker, and so do the live ones of `states`; the others are rows.

    `counts` is None while the broker is away or `broken`, which says why it cannot use what it holds of the queue: then
    all of `states` are rows. `shown` says how the queued ones read, as the admin's list of jobs has them; it is empty
    where `counts` is None. `oldest_wait` is in seconds. `limits` is None where no code defines the queue, `starts` are
    those of its rate limit's present period, None where it has none. `paused_at`: since when it is paused, `failed_at`:
    since when its oldest dead letter is one.
    """

    name: str
    defined: bool
    counts: QueueCounts | None
    states: Mapping[State, Capped]
    shown: Mapping[Shown, Capped]
    workers: int
    oldest_wait: float | None
    limits: HeldLimits | None
    broken: str = ""
    starts: int | None = None
    paused_at: datetime | None = None
    failed_at: datetime | None = None

    @property
    def live(self) -> int:
        """How many jobs have not ended, counted no further than the cap."""
        return sum(self.states[state].number for state in LIVE)


def queue_report(
    name: str, defined: bool, alive: Sequence[Process], now: datetime, *, away: bool = False
) -> QueueReport:
    """The numbers of one queue; a few index look-ups, whatever it holds. `away`: the broker is not asked."""
    counts, broken = None, ""
    try:
        counts = None if away else get_broker().counts(name)
    except QueueBroken as error:
        broken = str(error)
    rows = lookup.all_jobs().filter(queue=name)
    states = {state: lookup.capped_count(rows.filter(state=state)) for state in State}
    if counts is not None and not get_broker().rows_are_the_queue:
        states[State.QUEUED] = lookup.capped(counts.waiting + counts.scheduled)
        states[State.ACTIVE] = lookup.capped(counts.active)
    shown = {} if counts is None else _shown(rows, counts, now, whole=states[State.QUEUED])
    row = QueueState.objects.using(jobs_settings().database).filter(queue=name).first()
    given = AS_THE_CODE_SAYS if row is None else limits_of_row(row)
    held = held_limits(policy_of(name), given) if defined else None
    return QueueReport(
        name=name,
        defined=defined,
        counts=counts,
        states=states,
        shown=shown,
        workers=sum(worker.kind == "worker" and worker.queue == name for worker in alive),
        oldest_wait=seconds_between(counts.oldest_ready_at, now) if counts is not None and counts.waiting else None,
        limits=held,
        broken=broken,
        starts=_starts(name, held) if counts is not None else None,
        paused_at=row.paused_at if row is not None and row.paused else None,
        failed_at=_first_end(rows) if states[State.FAILED].number else None,
    )


def _shown(rows: QuerySet[Job], counts: QueueCounts, now: datetime, whole: Capped) -> dict[Shown, Capped]:
    """What is queued, by how it reads; where more is queued than is looked at, *at least* so many are retrying."""
    due = later = 0
    more = whole.number > LOOKED_AT
    if whole.number:
        retrying = Q(attempts__gt=0)
        # not a count: that would look as if it walked over all
        sums = rows.filter(state=State.QUEUED).order_by("id").values("attempts", "ready_at")[:LOOKED_AT]
        found = sums.aggregate(
            due=Sum(Case(When(retrying & Q(ready_at__lte=now), then=1), default=0)),
            later=Sum(Case(When(retrying & Q(ready_at__gt=now), then=1), default=0)),
        )
        due, later = found["due"] or 0, found["later"] or 0
    return {
        Shown.WAITING: _less(counts.waiting, due, more=more),
        Shown.SCHEDULED: _less(counts.scheduled, later, more=more),
        Shown.RETRYING: Capped(due + later, more=more and bool(due + later)),
    }


def _less(number: int, other: int, *, more: bool) -> Capped:
    if number >= CAP:
        return lookup.capped(number)
    # of those that were not looked at some may be retrying
    return Capped(max(0, number - other), more=more and bool(other))


def _starts(name: str, held: HeldLimits | None) -> int | None:
    if held is None or held.rate_limit is None:
        return None
    return get_broker().pace_of_queue(name, held.rate_limit).taken


def _first_end(rows: QuerySet[Job]) -> datetime | None:
    # as the index has it
    ended = rows.filter(state=State.FAILED, ended_at__isnull=False).order_by("ended_at")
    return ended.values_list("ended_at", flat=True).first()


def findings_of_queue(row: QueueReport, limits: Limits, *, anyone: bool) -> list[Finding]:
    """What is wrong with one queue; `anyone`: some process of `run_huey` is alive."""
    if row.broken:
        text = _("%(queue)s stands still: %(error)s. Keep other programs off the keys of the jobs.")
        return [Finding("queue_broken", row.name, text % {"queue": row.name, "error": row.broken})]
    # where a process works it, other code than ours defines it
    if not row.defined and not row.workers:
        return _undefined(row)
    standstill = _standstill(row, limits, anyone=anyone)
    return [*standstill, *_paused_tags(row), *_dead_letters(row), *_vanished(row)]


def _vanished(row: QueueReport) -> list[Finding]:
    if row.counts is None or not row.counts.vanished:
        return []
    text = npgettext(
        "finding",
        "%(queue)s: the record of %(count)d job had vanished from the broker. Keep other programs off its keys. "
        "A job that was enqueued in a transaction runs all the same.",
        "%(queue)s: the records of %(count)d jobs had vanished from the broker. Keep other programs off its keys. "
        "Jobs that were enqueued in a transaction run all the same.",
        row.counts.vanished,
    )
    values = {"queue": row.name, "count": row.counts.vanished}
    return [Finding("vanished", row.name, text % values, needs_person=False)]


def _undefined(row: QueueReport) -> list[Finding]:
    dead = row.states[State.FAILED]
    values = {"queue": row.name, "count": row.live, "dead": dead}
    if not row.live and not dead.number:
        return []
    if row.live:
        text = _(
            "%(queue)s: no code defines this queue, and %(count)d of its jobs have not ended: define it, or cancel "
            "them. Nobody will work them. Dead letters there: %(dead)s."
        )
    else:
        text = _(
            "%(queue)s: no code defines this queue, and %(dead)s of its jobs are dead letters: define it, or cancel "
            "them."
        )
    return [Finding("unknown_queue", row.name, text % values, needs_person=bool(row.live))]


def _standstill(row: QueueReport, limits: Limits, *, anyone: bool) -> list[Finding]:
    values = {"queue": row.name, "time": duration(row.oldest_wait)}
    if row.counts is None:
        return []
    oldest = row.counts.oldest_ready_at
    if row.name in lookup.queues_left_behind():
        text = _(
            "%(queue)s: its jobs are in the Redis that REDIS_URL named before, and nothing of it starts here: "
            "`manage.py jobs move --from URL` brings them back; `jobs move --gone`, if that Redis is lost."
        )
        return [Finding("left_behind", row.name, text % values)]
    if row.counts.paused:
        text = _("%(queue)s is paused: nothing starts until somebody resumes it (`manage.py jobs resume %(queue)s`).")
        return [Finding("paused", row.name, text % values, needs_person=False, since=row.paused_at)]
    if row.counts.waiting and not row.workers:
        text = _(
            "%(queue)s: nobody works this queue, its oldest job has waited for %(time)s: "
            "start `manage.py run_huey --queue %(queue)s`."
        )
        # with nobody at all it is said once for all queues
        return [Finding("nobody_works", row.name, text % values, since=oldest)] if anyone else []
    if row.counts.scheduled and not row.workers:
        text = _(
            "%(queue)s: nobody works this queue, and its scheduled jobs would not start: "
            "start `manage.py run_huey --queue %(queue)s`."
        )
        return [Finding("nobody_works", row.name, text % values)] if anyone else []
    # where tags are paused it may be one of theirs
    waits_long = row.oldest_wait is not None and row.oldest_wait > limits.oldest_waiting
    if waits_long and not row.counts.paused_tags:
        text = _(
            "%(queue)s: the oldest job has waited for %(time)s: give the queue more workers, or look for slow jobs."
        )
        return [Finding("oldest_waiting", row.name, text % values, since=oldest)]
    return []


def _paused_tags(row: QueueReport) -> list[Finding]:
    if row.counts is None or not row.counts.paused_tags:
        return []
    text = _(
        "%(queue)s: jobs with a paused tag do not start until somebody resumes it: %(tags)s "
        "(`manage.py jobs resume %(queue)s --tag TAG`)."
    )
    tags = row.counts.paused_tags
    values = {"queue": row.name, "tags": ", ".join([*tags[:MOST_TAGS], *(["…"] if len(tags) > MOST_TAGS else [])])}
    return [Finding("paused_tags", row.name, text % values, needs_person=False)]


def _dead_letters(row: QueueReport) -> list[Finding]:
    dead = row.states[State.FAILED]
    if not dead.number:
        return []
    text = npgettext(
        "finding",
        "%(queue)s: %(count)s dead letter waits for a person: retry or discard it.",
        "%(queue)s: %(count)s dead letters wait for a person: retry or discard them.",
        dead.number,
    )
    values = {"queue": row.name, "count": dead}
    return [Finding("dead_letters", row.name, text % values, needs_person=False, since=row.failed_at)]
