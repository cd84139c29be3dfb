"""Why a job waits, and when it will start; of one that has ended, where its time went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from django.db import connections
from django.utils.translation import gettext as _

from .. import clock
from ..broker import get_broker
from ..broker.standing import Found, Hindrance, Standing, hindrances
from ..conf import jobs_settings
from ..define.masks import NO_MASK, Mask
from ..errors import BrokerAway, InvalidPolicy
from ..models import Job, Process
from ..states import ENDED, State
from . import batches, live, lookup, why_texts
from .breakers import breakers
from .estimate import Estimate, expected_start, recent_of
from .spent import Spent, spent_of
from .verdict import job_verdict
from .waits import jobs_before, open_waits

#: How often a job is asked of that moves meanwhile.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that must go before the job starts.

    `code` says which, `text` says it in the reader's language and `remedy` what removes it. `until`: it goes by itself
    then, by the broker's clock. `number` of `of`: how many jobs, starts or processes it is about; `more`: and more.
    `name` is that of a group, a limit or a sequence, `job` the job that is in the way.
    """

    code: str
    text: str
    remedy: str
    until: datetime | None = None
    number: int | None = None
    of: int | None = None
    more: bool = False
    name: str = ""
    job: UUID | None = None


@dataclass(frozen=True, slots=True)
class Why:
    """Why a job is where it is, as of one moment.

    `sentence` says all of it in the reader's language. `reasons` are what must go before the job starts, all of it and
    nothing else; empty: nothing is in its way, or it runs or has ended. `ahead`: how many jobs start before it, up to
    1,000, with `ahead_more` more than that; None: it is in no line. `expected_at` is when its start is expected, by
    `clock`, give or take `plus_minus` seconds; None: `no_time` says why, where the job waits. `spent`: where the time
    of a job went that has ended.
    """

    state: str
    sentence: str
    reasons: tuple[Reason, ...] = ()
    ahead: int | None = None
    ahead_more: bool = False
    expected_at: datetime | None = None
    plus_minus: float | None = None
    no_time: str = ""
    clock: str = ""
    spent: tuple[Spent, ...] = field(default=())


def why(job_id: UUID) -> Why:
    """Why the job waits, or where its time went. Raises `UnknownJob`."""
    return why_of(lookup.find_job(job_id))


def why_of(job: Job, mask: Mask = NO_MASK) -> Why:
    """The same of a job whose row is at hand; one that moves meanwhile is read again."""
    for _round in range(ROUNDS):
        if job.state != State.QUEUED:
            break
        try:
            open_ones = _open_breakers()
            policy = replace(live.policy_of(job.queue), rooms=dict.fromkeys(open_ones, 0))
            seen = get_broker().explain(policy, job.pk)
        except BrokerAway as error:
            return _waits(job, [why_texts.away(str(error))])
        except InvalidPolicy:  # a queue of this name cannot be: the verdict says all
            break
        if seen is not None:
            return _queued(job, seen, open_ones)
        job = lookup.find_job(job.pk)
    if job.state == State.BLOCKED:
        return _waits(job, _of_blocked(job))
    if job.state == State.PENDING:
        return _waits(job, _of_pending(job))
    parts = spent_of(job) if job.state in ENDED else ()
    sentence = " ".join(filter(None, (mask(job_verdict(job)), why_texts.spent_text(parts))))
    return Why(job.state, sentence, spent=parts)


def why_line(job: Job) -> str:
    """The line below the verdict on a job's page; empty where the verdict has said all."""
    if job.state == State.QUEUED:
        why = why_of(job)
        return "" if why.ahead is None and not why.reasons else why.sentence
    return why_texts.spent_text(spent_of(job)) if job.state in ENDED else ""


def _open_breakers() -> Mapping[str, datetime | None]:
    """The breakers that are open, with when a job may probe; all of them, as they hold back others as well."""
    return {one.breaker.name: one.next_probe for one in breakers() if one.since is not None}


def _queued(job: Job, seen: Standing, probes: Mapping[str, datetime | None]) -> Why:
    found = tuple(
        replace(one, until=probes.get(one.name)) if one.code is Hindrance.BREAKER else one for one in hindrances(seen)
    )
    expected = expected_start(seen, found, recent_of(job.queue, seen.now) if found else None)
    reasons = tuple(_reason(one, seen, job) for one in found)
    no_time = "" if expected else why_texts.no_time(seen, found)
    by = _clock()
    return Why(
        state=job.state,
        sentence=_sentence([reason.text for reason in reasons], expected, no_time, by),
        reasons=reasons,
        ahead=seen.ahead,
        ahead_more=seen.is_more,
        expected_at=expected.at if expected else None,
        plus_minus=round(expected.plus_minus, 1) if expected else None,
        no_time=no_time,
        clock=by,
    )


def _reason(found: Found, seen: Standing, job: Job) -> Reason:
    text, remedy = why_texts.text_of(found, seen.now, job.queue), why_texts.remedy_of(found, job.queue)
    return Reason(
        found.code.value, text, remedy, found.until, found.number, found.of, found.is_more, found.name, found.job
    )


def _waits(job: Job, given: list[why_texts.Said]) -> Why:
    """Of a job that stands in no line yet."""
    said = [*given, *_of_paused(job)]
    reasons = tuple(
        Reason(one.code, one.text, one.remedy, number=one.number, name=one.name, job=one.job) for one in said
    )
    no_time = _("nobody knows when that ends")
    return Why(
        job.state, _sentence([one.text for one in reasons], None, no_time, ""), reasons, no_time=no_time, clock=_clock()
    )


def _of_paused(job: Job) -> list[why_texts.Said]:
    try:
        return [why_texts.paused(job.queue)] if get_broker().counts(job.queue).paused else []
    except BrokerAway:
        return []


def _of_blocked(job: Job) -> list[why_texts.Said]:
    said = []
    count, first = open_waits(job)
    if count:
        said.append(why_texts.blocked(count, first))
    elif (batch := batches.batch_id_of(job.pk)) is not None:
        said.append(why_texts.follows(batch))
    before, next_one = jobs_before(job) if job.sequence else (0, None)
    if before:
        said.append(why_texts.in_sequence(job.sequence, before, next_one))
    return said or [why_texts.to_be_let_go()]


def _of_pending(job: Job) -> list[why_texts.Said]:
    try:
        holder = get_broker().holder(job.queue, job.key) if job.key is not None else None
    except BrokerAway as error:
        return [why_texts.away(str(error))]
    if holder is not None and holder != job.pk:
        return [why_texts.behind(holder)]
    keepers = Process.objects.using(jobs_settings().database).filter(kind="keeper", lease_until__gt=clock.now())
    return [why_texts.on_its_way(is_kept=keepers.exists())]


def _sentence(texts: list[str], expected: Estimate | None, no_time: str, by: str) -> str:
    said = list(texts) or [_("nothing is in its way")]
    if expected is not None:
        values = {"time": why_texts.time_of(expected.at), "doubt": why_texts.doubt_of(expected.plus_minus), "clock": by}
        said.append(_("start expected at %(time)s ± %(doubt)s by %(clock)s") % values)
    else:
        said.append(_("no time can be given: %(why)s") % {"why": no_time})
    return _("Waits: %(reasons)s.") % {"reasons": "; ".join(said)}


def _clock() -> str:
    """Which clock the moments are of."""
    if not get_broker().rows_are_the_queue:
        return _("the clock of Redis")
    vendor = connections[jobs_settings().database].vendor
    return _("this machine's clock") if vendor == "sqlite" else _("the clock of PostgreSQL")
