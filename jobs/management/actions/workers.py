"""`manage.py jobs workers [--pause PROCESS] [--resume PROCESS]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs import clock, reasons
from jobs.history.verdict import duration, seconds_between
from jobs.management.actions.action import Action, Paper
from jobs.operate.workers import SeenWorker, pause_worker, resume_worker, workers


def _arguments(parser: CommandParser) -> None:
    pause = _("Let this process, HOST:PID or its id, take no more jobs; it ends with the process.")
    parser.add_argument("--pause", metavar=_("PROCESS"), help=pause)
    parser.add_argument("--resume", metavar=_("PROCESS"), help=_("Let it take jobs again."))


def _run(paper: Paper, options: Mapping[str, Any]) -> None:
    if options["pause"] and options["resume"]:
        raise CommandError(_("--pause and --resume: give one"), returncode=2)
    if options["pause"]:
        pause_worker(options["pause"])
    if options["resume"]:
        resume_worker(options["resume"])
    found = workers()
    if paper.as_json:
        paper.document([asdict(one) for one in found])
        return
    paper.table(
        (_("process"), _("queue"), _("busy"), _("since"), _("lease"), _("state"), _("id")),
        [_line(one) for one in found],
    )


def _line(one: SeenWorker) -> tuple[str, ...]:
    now = clock.now()
    return (
        f"{one.host}:{one.pid}",
        one.queue,
        f"{one.busy}/{one.concurrency}",
        duration(seconds_between(one.started_at, now)),
        duration(seconds_between(now, one.lease_until)),
        " ".join([*([_("paused")] if one.paused else []), *([reasons.translated(one.trouble)] if one.trouble else [])])
        or "–",
        str(one.id),
    )


WORKERS = Action("workers", gettext_noop("List the worker processes; pause or resume one."), _arguments, _run)
