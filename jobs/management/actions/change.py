"""`manage.py jobs reschedule | priority | edit | discard`: other times, priorities and arguments for jobs that wait."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.management.actions.action import Action, Paper
from jobs.management.actions.chosen import chosen_arguments, run_chosen
from jobs.management.actions.each import each_job
from jobs.management.actions.words import json_of, moment, seconds, uuid, whole
from jobs.operate.change import reschedule, set_priority
from jobs.operate.discard import discard
from jobs.operate.edit import edit_json


def _reschedule_arguments(parser: CommandParser) -> None:
    chosen_arguments(parser)
    parser.add_argument("--delay", type=seconds, metavar=_("SECONDS"), help=_("Due so much later than now."))
    parser.add_argument("--at", type=moment, metavar=_("TIME"), help=_("Due then: 2027-01-31T09:00-03:00."))


def _reschedule(paper: Paper, options: Mapping[str, Any]) -> None:
    delay, at = options["delay"], options["at"]
    if (delay is None) == (at is None):
        raise CommandError(_("give either --delay SECONDS or --at TIME"), returncode=2)
    run_chosen(paper, options, "reschedule", "rescheduled", reschedule, delay=delay, at=at)


def _priority_arguments(parser: CommandParser) -> None:
    chosen_arguments(parser)
    parser.add_argument(
        "--to", type=whole(1, 10), required=True, metavar=_("NUMBER"), help=_("1 (highest) to 10."), dest="priority"
    )


def _priority(paper: Paper, options: Mapping[str, Any]) -> None:
    word, priority = "given another priority", options["priority"]
    run_chosen(paper, options, "set_priority", word, set_priority, priority=priority)


def _edit_arguments(parser: CommandParser) -> None:
    parser.add_argument("ids", type=uuid, nargs="+", metavar="ID", help=_("The jobs' ids."))
    parser.add_argument(
        "--kwargs",
        dest="named",
        type=json_of(dict),
        required=True,
        metavar="JSON",
        help=_("The arguments to change, by their names; the others stay."),
    )


def _edit(paper: Paper, options: Mapping[str, Any]) -> None:
    each_job(paper, options["ids"], partial(edit_json, changed=options["named"]), "edited")


def _discard(paper: Paper, options: Mapping[str, Any]) -> None:
    run_chosen(paper, options, "discard", "discarded", discard)


RESCHEDULE = Action(
    "reschedule", gettext_noop("Put jobs that wait off, or bring them forward."), _reschedule_arguments, _reschedule
)
PRIORITY = Action("priority", gettext_noop("Give jobs that wait another priority."), _priority_arguments, _priority)
EDIT = Action("edit", gettext_noop("Give waiting jobs or dead letters other arguments."), _edit_arguments, _edit)
DISCARD = Action(
    "discard", gettext_noop("Take dead letters, or jobs that have ended, away."), chosen_arguments, _discard
)
