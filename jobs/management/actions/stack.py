"""`manage.py jobs stack ID`: where a running job is, as its worker sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.history import lookup
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import seconds, uuid
from jobs.operate.stack import PATIENCE, ask_stack


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("id", type=uuid, metavar="ID", help=_("The job's id."))
    parser.add_argument(
        "--wait",
        type=seconds,
        default=PATIENCE,
        metavar=_("SECONDS"),
        help=_("How long to wait for the worker's answer (default: %(default)g)."),
    )


def _stack(paper: Paper, options: Mapping[str, Any]) -> None:
    found = ask_stack(options["id"], wait=options["wait"])
    text = lookup.mask_of(lookup.find_job(options["id"]))(found.text)
    if paper.as_json:
        answer = {"id": options["id"], "stack": text, "note": found.sentence}
        paper.document({**answer, "asked_at": found.asked_at, "answered_at": found.answered_at})
        return
    for line in (text or found.sentence).splitlines():
        paper.say(line)


_HELP = gettext_noop("Show where a running job is: the frames of its thread, task or process.")

STACK = Action("stack", _HELP, _arguments, _stack)
