"""`manage.py jobs status | list | show`: changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext

from jobs import clock
from jobs.broker.records import QueueCounts
from jobs.define.masks import Mask
from jobs.defined import find_task
from jobs.history import inside, live, lookup, verdict
from jobs.history.counters import totals
from jobs.history.find import find, parts_of
from jobs.history.lateness import history_note
from jobs.history.query_text import parse
from jobs.history.status.finding import LIMITS
from jobs.history.status.queues import QueueReport
from jobs.history.status.report import Report, headline, report
from jobs.history.targets import name_of
from jobs.history.waits import waits_of
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.limits import document_of as limits_document
from jobs.management.actions.words import seconds, uuid, whole
from jobs.models import Attempt, Job
from jobs.states import State

MOST_LISTED = 10_000


def _status_arguments(parser: CommandParser) -> None:
    parser.add_argument("--check", action="store_true", help=_("End with 1 when something needs a person."))
    parser.add_argument(
        "--oldest",
        type=seconds,
        default=LIMITS.oldest_waiting,
        metavar=_("SECONDS"),
        help=_("How long a due job may wait (default: %(default)g)."),
    )
    parser.add_argument(
        "--oldest-transaction",
        type=seconds,
        default=LIMITS.oldest_transaction,
        metavar=_("SECONDS"),
        help=_("How long a transaction may be open, on PostgreSQL (default: %(default)g)."),
    )
    parser.add_argument(
        "--keeper-silent",
        type=seconds,
        default=LIMITS.keeper_silent,
        metavar=_("SECONDS"),
        help=_("How long a keeper may need for its duties, which it signs every 5 s (default: %(default)g)."),
    )
    parser.add_argument(
        "--history-lag",
        type=seconds,
        default=LIMITS.history_lag,
        metavar=_("SECONDS"),
        help=_("How far the history may be behind the jobs, with these in Redis (default: %(default)g)."),
    )


def _status(paper: Paper, options: Mapping[str, Any]) -> None:
    limits = replace(
        LIMITS,
        oldest_waiting=options["oldest"],
        oldest_transaction=options["oldest_transaction"],
        keeper_silent=options["keeper_silent"],
        history_lag=options["history_lag"],
    )
    seen = report(limits)
    if paper.as_json:
        paper.document(_status_document(seen))
    else:
        _print_status(paper, seen)
    if options["check"] and seen.needs_person:
        raise CommandError(_("something needs a person, see above"), returncode=1)


def _list_arguments(parser: CommandParser) -> None:
    parser.add_argument("--queue", metavar=_("QUEUE"), help=_("Only this queue's jobs."))
    parser.add_argument("--state", choices=lookup.STATES, help=_("Only jobs in this state."))
    parser.add_argument("--task", metavar=_("TASK"), help=_("Only this task's jobs."))
    parser.add_argument("--query", metavar=_("QUERY"), help=_("Only jobs of this query: 'attempts:>=3 ran:>5s'."))
    parser.add_argument(
        "--limit",
        type=whole(1, MOST_LISTED),
        metavar=_("NUMBER"),
        default=20,
        help=_("At most so many (default: %(default)s)."),
    )


def _list(paper: Paper, options: Mapping[str, Any]) -> None:
    live.hear()
    rows = lookup.all_jobs().order_by("-pk")
    if options["queue"]:
        rows = rows.filter(queue=name_of(options["queue"]))
    if options["task"]:
        rows = rows.filter(task=find_task(options["task"]).name)
    if options["state"]:
        rows = lookup.in_state(rows, options["state"])
    now, notes = clock.now(), [history_note()]
    query = parse(options["query"] or "", now)
    seen = find(query, rows, now, lambda rows: parts_of(rows, query, options["queue"] or "", options["state"] or ""))
    found = list(seen.rows.defer("message", "result")[: options["limit"]])
    found = lookup.as_they_read(found, options["state"] or query.state)
    if paper.as_json:
        paper.document([_line_document(job) for job in found])
        return
    lines = [
        (
            *(str(job.pk), job.queue, job.task, job.shown_state()),
            *(f"{job.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", job.shown_error()[:60]),
        )
        for job in found
    ]
    paper.table((_("id"), _("queue"), _("task"), _("state"), _("created (UTC)"), _("error")), lines)
    for note in (*notes, *seen.notes):
        if note:
            paper.say(note)


def _show_arguments(parser: CommandParser) -> None:
    parser.add_argument("id", type=uuid, metavar="ID", help=_("The job's id."))


def _show(paper: Paper, options: Mapping[str, Any]) -> None:
    job = lookup.find_job(options["id"])
    attempts = list(Attempt.objects.using(job._state.db).filter(job_id=job.pk).order_by("pk"))
    document = _job_document(job, attempts)
    if paper.as_json:
        paper.document(document)
        return
    paper.say(document.pop("verdict"))
    lines = document.pop("attempts_made")
    mask = lookup.mask_of(job)
    document |= {"progress": verdict.progress_text(inside.progress_of(job.pk), mask)}
    document |= {"steps": ", ".join(mask(name) for name in document["steps"])}
    document |= {"error": mask(job.shown_error()), "reason": mask(job.shown_reason())}
    told = [(_label(name), _plain(value)) for name, value in document.items() if value not in (None, "", [], {})]
    paper.table((), told)
    for line, attempt in zip(lines, attempts, strict=True):
        paper.say("")
        text = _("run %(run)s, attempt %(number)s: %(outcome)s %(ended)s")
        outcome = attempt.get_outcome_display()
        values = {"run": line["run"], "number": line["number"] or "–", "outcome": outcome, "ended": line["ended_at"]}
        paper.say(text % values)
        paper.say(f"  {line['worker']}  {mask(attempt.shown_error())}".rstrip())
        if line["traceback"]:
            paper.text(line["traceback"].rstrip())


def _label(name: str) -> str:
    """What a person reads for a name of the JSON document."""
    words = {"arguments": _("arguments"), "about": _("about"), "progress": _("progress"), "steps": _("steps done")}
    words |= {"after": _("waits for"), "awaited_by": _("awaited by")}
    if name in words:
        return words[name]
    field: Any = Job._meta.get_field("stored_priority" if name == "priority" else name)
    return str(field.verbose_name)


def _print_status(paper: Paper, seen: Report) -> None:
    paper.say(headline(seen.findings))
    for finding in seen.findings[1:]:
        paper.say(finding.text)
    lines = [
        (
            row.name,
            ", ".join(_marks(row)),
            verdict.duration(row.oldest_wait),
            *_live_numbers(row.counts),
            *(str(row.states[state]) for state in (State.PENDING, State.FAILED, State.COMPLETED)),
            str(row.workers),
        )
        for row in seen.queues
    ]
    paper.say("")
    heads = (
        _("queue"),
        "",
        pgettext("jobs", "oldest waiting"),
        pgettext("jobs", "due"),
        pgettext("jobs", "later"),
        pgettext("jobs", "active"),
        pgettext("jobs", "pending"),
        pgettext("jobs", "failed"),
        pgettext("jobs", "completed"),
        _("workers"),
    )
    paper.table(heads, lines)


def _marks(row: QueueReport) -> list[str]:
    marks = [_("paused")] if row.counts and row.counts.paused else []
    marks += [_("tag %(tag)s paused") % {"tag": tag} for tag in row.counts.paused_tags] if row.counts else []
    return marks + ([_("limits changed")] if row.limits and row.limits.set_at_run_time else [])


def _live_numbers(counts: QueueCounts | None) -> tuple[str, str, str]:
    if counts is None:
        return "–", "–", "–"
    return str(lookup.capped(counts.waiting)), str(lookup.capped(counts.scheduled)), str(counts.active)


def _status_document(seen: Report) -> dict[str, Any]:
    return {
        "at": seen.at,
        "needs_person": seen.needs_person,
        "keepers": seen.keepers,
        "history_lag_seconds": seen.history_lag,
        "history_facts_waiting": seen.history.facts,
        "relay_lag_seconds": seen.relay_lag,
        "lease_lag_seconds": seen.lease_lag,
        "clock_offset_seconds": seen.clock_offsets,
        "findings": [
            {
                **{"code": one.code, "queue": one.queue, "text": one.text, "needs_person": one.needs_person},
                "since": one.since,
            }
            for one in seen.findings
        ],
        "queues": [
            {
                "queue": row.name,
                "paused": row.counts and row.counts.paused,
                "paused_tags": row.counts and row.counts.paused_tags,
                "limits": row.limits and limits_document(row.limits),
                "oldest_waiting_seconds": row.oldest_wait,
                "due": row.counts and row.counts.waiting,
                "later": row.counts and row.counts.scheduled,
                "workers": row.workers,
                "states": {
                    state.value: {"count": count.number, "more": count.more} for state, count in row.states.items()
                },
                "since_ever": totals(row.name),
            }
            for row in seen.queues
        ],
    }


def _line_document(job: Job) -> dict[str, Any]:
    return {
        "id": job.pk,
        "queue": job.queue,
        "task": job.task,
        "state": job.shown_state(),
        "run": job.run,
        "attempts": job.attempts,
        "created_at": job.created_at,
        "ready_at": job.ready_at,
        "ended_at": job.ended_at,
        "error": job.error,
        "about": f"{job.about_type}:{job.about_id}" if job.about_type else "",
    }


def _job_document(job: Job, attempts: Sequence[Attempt]) -> dict[str, Any]:
    mask, waits = lookup.mask_of(job), waits_of(job)
    return {
        "verdict": mask(verdict.job_verdict(job)),
        **_line_document(job),
        "error": mask(job.error),
        "arguments": {one.name: one.value for one in lookup.arguments(job)},
        "result": lookup.shown_result(job),
        "priority": job.priority,
        "key": lookup.shown_key(job),
        "expires_at": job.expires_at,
        "started_at": job.started_at,
        "starts": job.starts,
        "lost": job.lost,
        "reason": mask(job.reason),
        "event": job.event,
        "event_id": job.event_id,
        "parent_id": job.parent_id,
        "after": [{"id": id, "state": state or "open"} for id, state in waits.after],
        "awaited_by": list(waits.before),
        "progress": _progress_document(job, mask),
        "steps": [mask(name) for name, _value, _kept_at in inside.steps_of(job.pk)],
        "attempts_made": [
            {
                "run": one.run,
                "number": one.number,
                "outcome": one.outcome,
                "worker": one.worker,
                "started_at": one.started_at,
                "ended_at": one.ended_at,
                "error": mask(one.error),
                "traceback": mask(one.traceback),
            }
            for one in attempts
        ],
    }


def _progress_document(job: Job, mask: Mask) -> dict[str, Any] | None:
    told = inside.progress_of(job.pk)
    if told is None:
        return None
    numbers = {"done": told.done, "total": told.total, "percent": told.percent}
    return {**numbers, "text": mask(told.text), "at": told.at}


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else str(value)


STATUS = Action("status", gettext_noop("Say how the queues are."), _status_arguments, _status)
LIST = Action("list", gettext_noop("List jobs, newest first."), _list_arguments, _list)
SHOW = Action("show", gettext_noop("Show one job with its attempts."), _show_arguments, _show)
