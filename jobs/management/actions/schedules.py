"""`manage.py jobs schedules [list | enable NAME | disable NAME | run NAME]`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext_lazy

from jobs.errors import InvalidPolicy
from jobs.management.actions.action import Action, Paper
from jobs.models import Schedule
from jobs.operate.schedules import all_schedules, defined_schedules, disable, enable, rule_of, run_now, ticks_to_come
from jobs.rules.words import in_words

ACTS = ("list", "enable", "disable", "run")
#: What the text output says of a schedule; the JSON has the keys.
STATES = {
    "enabled": pgettext_lazy("schedule", "enabled"),
    "disabled": pgettext_lazy("schedule", "disabled"),
    "gone": pgettext_lazy("schedule", "taken out of the code"),
}


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("act", nargs="?", choices=ACTS, default="list", help=_("What to do (default: list)."))
    parser.add_argument("name", nargs="?", metavar=_("NAME"), help=_("The schedule's name, as the list has it."))


def _run(paper: Paper, options: Mapping[str, Any]) -> None:
    act, name = options["act"], options["name"]
    if (act == "list") != (name is None):
        raise CommandError(_("enable, disable and run take a schedule's name, and list takes none"), returncode=2)
    if act == "list":
        _list(paper)
    elif act == "run":
        handle = run_now(name)
        _say(paper, {"name": name, "job": str(handle.id)}, _("%(name)s: enqueued %(job)s"))
    elif act == "enable":
        enable(name)
        _say(paper, {"name": name, "state": "enabled"}, _("%(name)s: ticks again, from now on"))
    else:
        disable(name)
        _say(paper, {"name": name, "state": "disabled"}, _("%(name)s: ticks no more"))


def _say(paper: Paper, document: dict[str, str], text: str) -> None:
    if paper.as_json:
        paper.document(document)
    else:
        paper.say(text % document)


def _list(paper: Paper) -> None:
    defined = defined_schedules()
    lines = [_line(row, defined) for row in all_schedules().order_by("name")]
    if paper.as_json:
        paper.document(lines)
        return
    paper.table(
        (_("name"), _("task"), _("state"), _("when"), _("next"), _("last"), _("trouble")),
        [
            (
                *(line["name"], line["task"], str(STATES[line["state"]]), line["when"]),
                *(_local(line["next"]), _local(line["last"]), line["trouble"]),
            )
            for line in lines
        ],
    )


def _line(row: Schedule, defined: Mapping[str, Any]) -> dict[str, Any]:
    try:
        rule = rule_of(row, defined)
        when, to_come = ("" if rule is None else in_words(rule)), ticks_to_come(row, 1, defined)
    except InvalidPolicy as error:
        when, to_come = str(error), []
    gone = row.from_code and row.name not in defined
    return {
        "name": row.name,
        "task": row.task,
        "state": "gone" if gone else "enabled" if row.enabled else "disabled",
        "when": when,
        "next": to_come[0] if to_come else None,
        "last": row.fired_at,
        "fired": row.fired,
        "last_job": row.last_job,
        "trouble": row.trouble,
    }


def _local(moment: datetime | None) -> str:
    return "–" if moment is None else f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S%z}"


SCHEDULES = Action("schedules", gettext_noop("List schedules; enable, disable or run one now."), _arguments, _run)
