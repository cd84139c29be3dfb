"""`manage.py jobs groups QUEUE [--pause | --resume | --limit NAME [--concurrency N] [--rate-limit LIMIT]]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.broker.lanes import GroupSeen
from jobs.history.live import policy_of
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import rate_limit, whole
from jobs.operate.groups import MOST, groups, pause_group, resume_group, set_group_limits
from jobs.policy import GroupRules, RateLimit


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("queue", metavar=_("QUEUE"), help=_("The queue's name."))
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--pause", metavar=_("NAME"), help=_("Start no job of this group any more."))
    act.add_argument("--resume", metavar=_("NAME"), help=_("End this group's pause, and its wait."))
    act.add_argument(
        "--limit", metavar=_("NAME"), help=_("Give this group limits of its own; without any, as the queue says.")
    )
    parser.add_argument(
        "--concurrency", type=whole(1, 100_000), metavar=_("NUMBER"), help=_("How many of its jobs run at once.")
    )
    parser.add_argument(
        "--rate-limit", type=rate_limit, metavar=_("LIMIT"), help=_("How many start in so many seconds: 10/60, 100/m.")
    )
    parser.add_argument("--after", default="", metavar=_("NAME"), help=_("List the groups behind this one."))


def _run(paper: Paper, options: Mapping[str, Any]) -> None:
    queue, limits = options["queue"], (options["concurrency"], options["rate_limit"])
    if any(limits) and options["limit"] is None:
        raise CommandError(_("--concurrency and --rate-limit go with --limit NAME"), returncode=2)
    if (name := options["pause"]) is not None:
        pause_group(queue, name)
        _say(paper, queue, name, "paused", _("%(queue)s: group %(group)s is paused"))
    elif (name := options["resume"]) is not None:
        resume_group(queue, name)
        _say(paper, queue, name, "resumed", _("%(queue)s: group %(group)s goes on"))
    elif (name := options["limit"]) is not None:
        set_group_limits(queue, name, *limits)
        done = (
            _("%(queue)s: group %(group)s has its own limits")
            if any(limits)
            else _("%(queue)s: group %(group)s has the queue's limits")
        )
        _say(paper, queue, name, "limited", done)
    else:
        _list(paper, queue, options["after"])


def _say(paper: Paper, queue: str, group: str, done: str, text: str) -> None:
    if paper.as_json:
        paper.document({"queue": queue, "group": group, "done": done})
    else:
        paper.say(text % {"queue": queue, "group": group})


def _list(paper: Paper, queue: str, after: str) -> None:
    found = groups(queue, after, MOST)
    rules = policy_of(queue).groups
    if paper.as_json:
        paper.document([_document(one, rules) for one in found])
        return
    paper.table(
        (_("group"), _("waiting"), _("later"), _("active"), _("concurrency"), _("pace"), ""),
        [
            (
                *(one.name, str(one.waiting), str(one.scheduled), str(one.active)),
                *(str(one.settings.concurrency or rules.concurrency or "–"), _pace(_rate_of(one, rules)), _state(one)),
            )
            for one in found
        ],
    )
    if len(found) == MOST:
        paper.say(_("more: --after %(group)s") % {"group": found[-1].name})


def _document(one: GroupSeen, rules: GroupRules) -> dict[str, Any]:
    rate = _rate_of(one, rules)
    return {
        "name": one.name,
        "waiting": one.waiting,
        "scheduled": one.scheduled,
        "active": one.active,
        "paused": one.settings.paused,
        "blocked_until": one.blocked_until,
        "concurrency": one.settings.concurrency or rules.concurrency,
        "rate_limit": rate and {"limit": rate.limit, "per": rate.per},
        "own_limits": bool(one.settings.concurrency or one.settings.rate_limit),
    }


def _rate_of(one: GroupSeen, rules: GroupRules) -> RateLimit | None:
    return one.settings.rate_limit or rules.rate_limit


def _pace(rate: RateLimit | None) -> str:
    return "–" if rate is None else f"{rate.limit}/{rate.per:.15g} s"


def _state(one: GroupSeen) -> str:
    if one.settings.paused:
        return _("paused")
    if one.blocked_until is None:
        return ""
    return _("waits until %(time)s") % {"time": f"{timezone.localtime(one.blocked_until):%H:%M:%S%z}"}


GROUPS = Action("groups", gettext_noop("List the groups of a queue; pause, resume or limit one."), _arguments, _run)
