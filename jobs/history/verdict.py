"""What to say of a job: what became of it, and what happens next; and how times are said."""

from __future__ import annotations

from datetime import datetime

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import clock
from ..broker import get_broker
from ..broker.database.values import tags_of
from ..conf import jobs_settings
from ..define.desk import Progress
from ..define.masks import NO_MASK, Mask
from ..errors import BrokerAway
from ..models import Job, Process
from ..states import Shown
from . import batches, lookup
from .breakers import breakers
from .waits import jobs_before, open_waits


def job_verdict(job: Job, now: datetime | None = None, *, hindrances: bool = True) -> str:
    """What became of the job, and what happens next and when; without `hindrances` not what keeps it waiting."""
    now = now or clock.now()
    shown = Shown(job.shown_state(now))
    if shown is Shown.BLOCKED:
        return _blocked_verdict(job)
    if shown is Shown.PENDING:
        return _("Accepted, on its way to the broker. The keeper of run_huey brings it there within seconds.")
    if shown in (Shown.SCHEDULED, Shown.WAITING, Shown.RETRYING):
        return " ".join([_queued_verdict(job, shown, now), *(_hindrance(job, now) if hindrances else ())])
    if shown is Shown.ACTIVE:
        return _active_verdict(job, now)
    if shown is Shown.COMPLETED:
        ran = seconds_between(job.started_at, job.ended_at)
        return _("Completed in %(time)s. Nothing more happens.") % {"time": duration(ran)}
    if shown is Shown.FAILED:
        return _failed_verdict(job)
    if shown is Shown.EXPIRED:
        return _("Expired: it was not started before its time had passed. Nothing more happens.")
    why = f" ({job.shown_reason()})" if job.reason else ""
    return _("Cancelled%(why)s. Nothing more happens.") % {"why": why}


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from `start` to `end`, never below 0; None where one of them is missing."""
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())


def duration(seconds: float | None) -> str:
    """A length of time as people say it."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return _("%(count)d ms") % {"count": round(seconds * 1000)}
    if seconds < 60:
        shown = number_format(seconds, 1) if seconds < 10 else str(int(seconds))
        return _("%(count)s s") % {"count": shown}
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 60:
        return ngettext("%(count)d minute", "%(count)d minutes", int(minutes)) % {"count": minutes}
    if hours < 48:
        return ngettext("%(count)d hour", "%(count)d hours", int(hours)) % {"count": hours}
    return ngettext("%(count)d day", "%(count)d days", int(days)) % {"count": days}


def attempts_allowed(job: Job) -> int | None:
    """How often the job may be tried in a run; None if no code defines its task."""
    task = lookup.task_of(job)
    return task.policy.attempts if task else None


def _blocked_verdict(job: Job) -> str:
    count, first = open_waits(job)
    if not count and (batch := batches.batch_id_of(job.pk)) is not None:
        return _("Follows the end of batch %(id)s.") % {"id": batch}
    said = ngettext("Waits for %(count)d other job.", "Waits for %(count)d other jobs.", count)
    if job.sequence:
        before, next_one = jobs_before(job)
        if before and not count:
            count, first = before, next_one
            said = ngettext(
                "Waits for its turn in the sequence %(name)s, behind %(count)d other job.",
                "Waits for its turn in the sequence %(name)s, behind %(count)d other jobs.",
                count,
            )
    text = said % {"count": count, "name": job.sequence}
    return text if first is None else f"{text} {_('The first is %(id)s.') % {'id': first}}"


def _queued_verdict(job: Job, shown: Shown, now: datetime) -> str:
    due_in = (job.ready_at - now).total_seconds()
    if job.unknown_since is not None:
        left = jobs_settings().unknown_grace - (now - job.unknown_since).total_seconds()
        text = _(
            "No worker understands this job (%(why)s). For another %(time)s it is offered again, then it is a dead "
            "letter: deploy the code that knows it."
        )
        return text % {"why": job.shown_reason() or job.task, "time": duration(max(0.0, left))}
    if shown is Shown.RETRYING:
        values = {"attempt": job.attempts, "of": attempts_allowed(job) or "?", "time": duration(abs(due_in))}
        if due_in > 0:
            return _("Attempt %(attempt)s of %(of)s failed. The next one starts in %(time)s.") % values
        return _("Attempt %(attempt)s of %(of)s failed. The next one has been due for %(time)s.") % values
    if shown is Shown.SCHEDULED:
        return _("Scheduled: starts in %(time)s.") % {"time": duration(due_in)}
    return _("Waiting for %(time)s.") % {"time": duration(-due_in)}


def _hindrance(job: Job, now: datetime) -> list[str]:
    said: list[str] = []
    try:
        counts = get_broker().counts(job.queue)
    except BrokerAway as error:
        return [_("Its broker is away (%(error)s).") % {"error": error}]
    if counts.paused:
        said.append(_("The queue %(queue)s is paused: resume it first.") % {"queue": job.queue})
    elif counts.blocked_until is not None and counts.blocked_until > now:
        left = duration((counts.blocked_until - now).total_seconds())
        said.append(_("The whole queue was told to slow down for another %(time)s.") % {"time": left})
    if paused := [tag for tag in tags_of(job.tags) if tag in counts.paused_tags]:
        said.append(_("Its tag is paused (%(tags)s): resume it first.") % {"tags": ", ".join(paused)})
    workers = Process.objects.using(jobs_settings().database).filter(kind="worker", queue=job.queue)
    if not workers.filter(lease_until__gt=now).exists():
        said.append(_("Nobody works this queue now: start `manage.py run_huey`."))
    bulk = task.bulk if (task := lookup.task_of(job)) is not None else None
    waited = (now - job.ready_at).total_seconds()
    if bulk is not None and bulk.least > 1 and 0 <= waited < bulk.wait:
        text = _("Its task takes several jobs at once: it starts when %(count)d are due, or in %(time)s.")
        said.append(text % {"count": bulk.least, "time": duration(bulk.wait - waited)})
    for one in breakers():
        if one.since is not None and job.task in one.tasks:
            text = _("The breaker %(name)s is open: jobs of its tasks wait until it closes.")
            said.append(text % {"name": one.breaker.name})
    if job.alone:
        said.append(_("It was lost twice with its worker, so it runs alone."))
    return said


def _active_verdict(job: Job, now: datetime) -> str:
    text = _("Running for %(time)s, attempt %(attempt)s of %(of)s.") % {
        "time": duration(seconds_between(job.started_at or job.claimed_at, now)),
        "attempt": job.attempts + 1,
        "of": attempts_allowed(job) or "?",
    }
    if job.cancel_requested:
        text += " " + _("It was asked to cancel and may agree.")
    worker = Process.objects.using(jobs_settings().database).filter(pk=job.worker_id).first() if job.worker_id else None
    # what another broker tells of its processes is written down every few seconds
    unknown = worker is None and (job.worker_id is None or get_broker().rows_are_the_queue)
    if unknown or (worker is not None and worker.lease_until <= now):
        text += " " + _("Its worker is silent: the keeper gives the job back once the lease has ended.")
    return text


def _failed_verdict(job: Job) -> str:
    tried = ngettext("after %(count)d attempt", "after %(count)d attempts", job.attempts) % {"count": job.attempts}
    text = _("Dead letter %(tried)s. It waits for a person: retry it, or discard it.") % {"tried": tried}
    reason = job.shown_reason()
    return f"{text} {reason[:1].upper()}{reason[1:]}." if reason else text


def progress_text(told: Progress | None, mask: Mask = NO_MASK) -> str:
    """How far the task says it is, as people read it; empty where it has not said."""
    if told is None:
        return ""
    done = number_format(told.done, decimal_pos=None if told.done % 1 else 0, use_l10n=True, force_grouping=True)
    if told.total is None:
        text = done
    else:
        total = number_format(told.total, decimal_pos=None if told.total % 1 else 0, use_l10n=True, force_grouping=True)
        text = _("%(done)s of %(total)s (%(percent)d %%)") % {"done": done, "total": total, "percent": told.percent}
    return f"{text} {mask(told.text)}".rstrip()
