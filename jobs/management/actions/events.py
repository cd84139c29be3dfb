"""`manage.py jobs events`: how starts of jobs ended, to follow from another process and to go on from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.history.job_events import JobEvent, job_events
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import whole
from jobs.models import AttemptOutcome
from jobs.models.job import STATE_WORDS

#: The highest id that the table can give.
HIGHEST = 2**63 - 1


def _events_arguments(parser: CommandParser) -> None:
    parser.add_argument("--follow", action="store_true", help=_("Go on with what comes, until Ctrl-C."))
    help = _(
        "Begin behind the event with this id. Default: with all that the history holds; with --follow, with what comes."
    )
    parser.add_argument("--since", type=whole(0, HIGHEST), metavar="ID", help=help)
    parser.add_argument("--queue", metavar=_("QUEUE"), help=_("Only this queue's jobs."))
    parser.add_argument("--task", metavar=_("TASK"), help=_("Only this task's jobs."))


def _events(paper: Paper, options: Mapping[str, Any]) -> None:
    follows, since = options["follow"], options["since"]
    if since is None and not follows:
        since = 0
    wait = None if follows else 0.0
    with suppress(KeyboardInterrupt):
        for event in job_events(since, queue=options["queue"], task=options["task"], wait=wait):
            if paper.as_json:
                paper.record(dataclasses.asdict(event))
            else:
                paper.say(_line(event))
            if follows:
                paper.flush()


def _line(event: JobEvent) -> str:
    outcome = AttemptOutcome(event.outcome).label
    words = [str(event.id), f"{event.ended_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", event.queue, event.task]
    state = STATE_WORDS[event.state]
    shown = outcome if event.state == event.outcome else f"{outcome} ({state})"
    return "  ".join([*words, str(event.job_id), str(shown), event.error]).rstrip()


EVENTS = Action(
    "events",
    gettext_noop("Print how starts of jobs ended, one a line (with --json, one JSON object a line)."),
    _events_arguments,
    _events,
)
