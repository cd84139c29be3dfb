"""`manage.py jobs drain | clean | erase`: what takes jobs, history or a person's data away. Nothing asks back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import age, long_text, whole
from jobs.operate.clean import CLEANED, clean
from jobs.operate.drain import DRAINED, drain
from jobs.operate.erase import erase_object, find_object

MOST = 1_000_000_000


def _limits(parser: CommandParser) -> None:
    parser.add_argument(
        "--limit", type=whole(1, MOST), metavar=_("NUMBER"), help=_("At most so many, the oldest first.")
    )
    parser.add_argument("--dry-run", action="store_true", help=_("Say how many, and change nothing."))


def _drain_arguments(parser: CommandParser) -> None:
    parser.add_argument("queue", metavar=_("QUEUE"), help=_("The queue's name."))
    parser.add_argument("--state", choices=DRAINED, default=DRAINED[0], help=_("Which jobs (default: %(default)s)."))
    parser.add_argument("--task", metavar=_("TASK"), help=_("Only this task's jobs."))
    parser.add_argument(
        "--older-than", type=age, metavar=_("AGE"), help=_("Only jobs created at least so long ago: 45s, 30m, 12h, 7d.")
    )
    _limits(parser)


def _drain(paper: Paper, options: Mapping[str, Any]) -> None:
    queue, state, dry_run = options["queue"], options["state"], options["dry_run"]
    chosen = {"task": options["task"] or "", "older_than": options["older_than"], "limit": options["limit"]}
    count = drain(queue, state, **chosen, dry_run=dry_run)
    if paper.as_json:
        paper.document({"queue": queue, "state": state, "cancelled": count, "dry_run": dry_run})
        return
    if dry_run:
        text = ngettext("%(count)d job would be cancelled", "%(count)d jobs would be cancelled", count)
    else:
        text = ngettext("%(count)d job cancelled", "%(count)d jobs cancelled", count)
    paper.say(f"{queue}: {text % {'count': count}}")


def _clean_arguments(parser: CommandParser) -> None:
    parser.add_argument("--queue", required=True, metavar=_("QUEUE"), help=_("Only this queue's jobs."))
    parser.add_argument("--state", choices=CLEANED, required=True, help=_("Only jobs in this state."))
    parser.add_argument(
        "--older-than", type=age, required=True, metavar=_("AGE"), help=_("How long ago they ended: 45s, 30m, 12h, 7d.")
    )
    _limits(parser)


def _clean(paper: Paper, options: Mapping[str, Any]) -> None:
    queue, state, dry_run = options["queue"], options["state"], options["dry_run"]
    count = clean(queue, state, options["older_than"], limit=options["limit"], dry_run=dry_run)
    if paper.as_json:
        paper.document({"queue": queue, "state": state, "removed": count, "dry_run": dry_run})
        return
    if dry_run:
        text = ngettext("%(count)d job would be removed", "%(count)d jobs would be removed", count)
    else:
        text = ngettext("%(count)d job removed", "%(count)d jobs removed", count)
    paper.say(f"{queue}: {text % {'count': count}}")


def _erase_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--object",
        required=True,
        dest="subject",
        metavar=_("LABEL:ID"),
        help=_("For example lead:ID or leads.lead:ID."),
    )
    parser.add_argument(
        "--mention",
        action="append",
        default=[],
        dest="texts",
        type=long_text,
        metavar=_("TEXT"),
        help=_(
            "Cancel and empty the jobs whose arguments hold this text too, and take it out of all other jobs and "
            "attempts; may be repeated."
        ),
    )


def _erase(paper: Paper, options: Mapping[str, Any]) -> None:
    label, id = find_object(options["subject"])
    erased = erase_object(label, id, options["texts"])
    if paper.as_json:
        paper.document({"object": f"{label}:{id}", **asdict(erased)})
    else:
        text = _(
            "%(object)s: jobs emptied: %(jobs)d, of them cancelled: %(cancelled)d; mentions taken out: %(mentions)d"
        )
        paper.say(text % {"object": f"{label}:{id}", **asdict(erased)})
        paper.table((), [(kind, str(count)) for kind, count in sorted(erased.rows.items())])
    if erased.running:
        text = _(
            "jobs that still run and were asked to cancel: %(count)d; run this again when they have ended: %(ids)s"
        )
        values = {"count": len(erased.running), "ids": ", ".join(map(str, erased.running))}
        raise CommandError(text % values, returncode=1)


DRAIN = Action("drain", gettext_noop("Cancel what a queue holds and has not started."), _drain_arguments, _drain)
ERASE = Action("erase", gettext_noop("Erase one person's data from jobs and rows."), _erase_arguments, _erase)
CLEAN = Action("clean", gettext_noop("Remove jobs that have ended."), _clean_arguments, _clean)
