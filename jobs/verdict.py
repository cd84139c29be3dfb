"""What to say of the queues and of a job: numbers, then a sentence that tells what is wrong and what mends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, npgettext

from . import clock, lookup
from .broker import get_broker
from .broker.records import QueueCounts
from .conf import jobs_settings
from .lookup import Capped
from .models import Job, Worker
from .queue import queues
from .states import Shown, State

#: Seconds that a due job may wait, and a pending row may stay one, before a person is asked to look.
OLDEST_WAITING = 300.0
OLDEST_PENDING = 60.0


@dataclass(frozen=True)
class QueueReport:
    """A queue in numbers. `counts` come from the broker, `states` are rows; `oldest_wait` is in seconds."""

    name: str
    defined: bool
    counts: QueueCounts
    states: Mapping[State, Capped]
    workers: int
    oldest_wait: float | None


@dataclass(frozen=True)
class Finding:
    """Something worth saying; `needs_person` when `jobs status --check` must fail. `code` is for machines."""

    code: str
    queue: str
    text: str
    needs_person: bool = True


@dataclass(frozen=True)
class Report:
    """The whole engine at one moment."""

    at: datetime
    queues: Sequence[QueueReport]
    keepers: int
    findings: Sequence[Finding]

    @property
    def needs_person(self) -> bool:
        """Whether any finding cannot wait."""
        return any(finding.needs_person for finding in self.findings)


def report(oldest_waiting: float = OLDEST_WAITING) -> Report:
    """Look at every queue; `oldest_waiting` is how many seconds a due job may wait."""
    now = get_broker().now()
    alive = list(Worker.objects.using(jobs_settings().database).filter(lease_until__gt=now))
    defined = queues()
    names = [*defined, *(name for name in lookup.queues_with_jobs() if name not in defined)]
    rows = [_queue_report(name, name in defined, alive, now) for name in names]
    keepers = sum(worker.kind == "keeper" for worker in alive)
    found = _findings_of_engine(rows, alive, keepers, now)
    for row in rows:
        found.extend(_findings_of_queue(row, oldest_waiting, anyone=bool(alive)))
    return Report(now, rows, keepers, sorted(found, key=lambda finding: not finding.needs_person))


def headline(findings: Sequence[Finding]) -> str:
    """The first line of the overview: what needs a person, else what is worth knowing, else that all is well."""
    return findings[0].text if findings else _("All is well.")


def job_verdict(job: Job, now: datetime | None = None) -> str:
    """What became of the job, and what happens next and when."""
    now = now or clock.now()
    shown = Shown(job.shown_state(now))
    if shown is Shown.PENDING:
        return _("Accepted, on its way to the broker. The keeper of run_huey brings it there within seconds.")
    if shown in (Shown.SCHEDULED, Shown.WAITING, Shown.RETRYING):
        return " ".join([_queued_verdict(job, shown, now), *_hindrance(job, now)])
    if shown is Shown.ACTIVE:
        return _active_verdict(job, now)
    if shown is Shown.COMPLETED:
        ran = seconds_between(job.started_at, job.ended_at)
        return _("Completed in %(time)s. Nothing more happens.") % {"time": duration(ran)}
    if shown is Shown.FAILED:
        return _failed_verdict(job)
    if shown is Shown.EXPIRED:
        return _("Expired: it was not started before its time had passed. Nothing more happens.")
    why = f" ({job.reason})" if job.reason else ""
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
        return _("%(count).1f s") % {"count": seconds} if seconds < 10 else _("%(count)d s") % {"count": seconds}
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


def _queue_report(name: str, defined: bool, alive: Sequence[Worker], now: datetime) -> QueueReport:
    counts = get_broker().counts(name)
    rows = lookup.all_jobs().filter(queue=name)
    return QueueReport(
        name=name,
        defined=defined,
        counts=counts,
        states={state: lookup.capped_count(rows.filter(state=state)) for state in State},
        workers=sum(worker.kind == "worker" and worker.queue == name for worker in alive),
        oldest_wait=seconds_between(counts.oldest_ready_at, now) if counts.waiting else None,
    )


def _findings_of_engine(
    rows: Sequence[QueueReport], alive: Sequence[Worker], keepers: int, now: datetime
) -> list[Finding]:
    found: list[Finding] = []
    live = sum(row.states[state].number for row in rows for state in (State.PENDING, State.QUEUED, State.ACTIVE))
    if not alive:
        text = _("Nothing works the queues: start `manage.py run_huey`.")
        found.append(Finding("no_workers", "", text, needs_person=live > 0))
    elif not keepers:
        text = _(
            "No keeper is alive: jobs of dead workers are not given back and periodic tasks do not tick. "
            "Restart `manage.py run_huey`; if this stays, look into its log."
        )
        found.append(Finding("no_keeper", "", text))
    since = now - timedelta(seconds=OLDEST_PENDING)
    # a retry keeps its old id and is due at once: it is young while its due time is
    young = Q(ready_at__gte=since, ready_at__lte=now)
    stuck = lookup.all_jobs().filter(state=State.PENDING, pk__lt=lookup.first_id_at(since)).exclude(young)
    number = lookup.capped_count(stuck)
    if number.number:
        text = ngettext(
            "%(count)s accepted job has not reached the broker for over a minute: see that `manage.py run_huey` "
            "runs, its keeper relays it.",
            "%(count)s accepted jobs have not reached the broker for over a minute: see that `manage.py run_huey` "
            "runs, its keeper relays them.",
            number.number,
        ) % {"count": number}
        found.append(Finding("pending_too_long", "", text))
    return found


def _findings_of_queue(row: QueueReport, oldest_waiting: float, *, anyone: bool) -> list[Finding]:
    found: list[Finding] = []
    waits = row.counts.waiting > 0
    time = duration(row.oldest_wait)
    if not row.defined:
        live = sum(row.states[state].number for state in (State.PENDING, State.QUEUED, State.ACTIVE))
        if live:
            text = _(
                "%(queue)s: no code defines this queue, and %(count)d of its jobs have not ended: "
                "define it, or cancel them."
            )
            found.append(Finding("unknown_queue", row.name, text % {"queue": row.name, "count": live}))
        return found
    if row.counts.paused:
        text = _("%(queue)s is paused: nothing starts until somebody resumes it (`manage.py jobs resume %(queue)s`).")
        found.append(Finding("paused", row.name, text % {"queue": row.name}, needs_person=False))
    elif waits and not row.workers:
        text = _(
            "%(queue)s: nobody works this queue, its oldest job has waited for %(time)s: "
            "start `manage.py run_huey --queue %(queue)s`."
        )
        if anyone:  # else it is said once for all queues
            found.append(Finding("nobody_works", row.name, text % {"queue": row.name, "time": time}))
    elif row.oldest_wait is not None and row.oldest_wait > oldest_waiting:
        text = _(
            "%(queue)s: the oldest job has waited for %(time)s: give the queue more workers, or look for slow jobs."
        )
        found.append(Finding("oldest_waiting", row.name, text % {"queue": row.name, "time": time}))
    dead = row.states[State.FAILED]
    if dead.number:
        text = npgettext(
            "finding",
            "%(queue)s: %(count)s dead letter waits for a person: retry or cancel it.",
            "%(queue)s: %(count)s dead letters wait for a person: retry or cancel them.",
            dead.number,
        ) % {"queue": row.name, "count": dead}
        found.append(Finding("dead_letters", row.name, text, needs_person=False))
    return found


def _queued_verdict(job: Job, shown: Shown, now: datetime) -> str:
    due_in = (job.ready_at - now).total_seconds()
    if job.unknown_since is not None:
        left = jobs_settings().unknown_grace - (now - job.unknown_since).total_seconds()
        text = _(
            "No worker understands this job (%(why)s). For another %(time)s it is offered again, then it is a dead "
            "letter: deploy the code that knows it."
        )
        return text % {"why": job.reason or job.task, "time": duration(max(0.0, left))}
    if shown is Shown.RETRYING:
        values = {"attempt": job.attempts, "of": attempts_allowed(job) or "?", "time": duration(abs(due_in))}
        if due_in > 0:
            return _("Attempt %(attempt)s of %(of)s failed. The next one starts in %(time)s.") % values
        return _("Attempt %(attempt)s of %(of)s failed. The next one has been due for %(time)s.") % values
    if shown is Shown.SCHEDULED:
        return _("Scheduled: starts in %(time)s.") % {"time": duration(due_in)}
    return _("Waiting for %(time)s.") % {"time": duration(-due_in)}


def _hindrance(job: Job, now: datetime) -> list[str]:
    counts = get_broker().counts(job.queue)
    said: list[str] = []
    if counts.paused:
        said.append(_("The queue %(queue)s is paused: resume it first.") % {"queue": job.queue})
    elif counts.blocked_until is not None and counts.blocked_until > now:
        left = duration((counts.blocked_until - now).total_seconds())
        said.append(_("The whole queue was told to slow down for another %(time)s.") % {"time": left})
    workers = Worker.objects.using(jobs_settings().database).filter(kind="worker", queue=job.queue)
    if not workers.filter(lease_until__gt=now).exists():
        said.append(_("Nobody works this queue now: start `manage.py run_huey`."))
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
    worker = Worker.objects.using(jobs_settings().database).filter(pk=job.worker_id).first() if job.worker_id else None
    if worker is None or worker.lease_until <= now:
        text += " " + _("Its worker is silent: the keeper gives the job back once the lease has ended.")
    return text


def _failed_verdict(job: Job) -> str:
    tried = ngettext("after %(count)d attempt", "after %(count)d attempts", job.attempts) % {"count": job.attempts}
    text = _("Dead letter %(tried)s. It waits for a person: retry it, or cancel it.") % {"tried": tried}
    return f"{text} {job.reason[:1].upper()}{job.reason[1:]}." if job.reason else text
