"""`manage.py jobs drain | clean`: what takes away many jobs at once. Nothing is asked; `--dry-run` shows how many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import ngettext

from jobs import cleaning
from jobs.queue import find_task

from .action import Action, Paper
from .words import age, whole

MOST = 1_000_000_000


def _limits(parser: CommandParser) -> None:
    parser.add_argument("--limit", type=whole(1, MOST), help="At most so many, the oldest first.")
    parser.add_argument("--dry-run", action="store_true", help="Say how many, and change nothing.")


def _drain_arguments(parser: CommandParser) -> None:
    parser.add_argument("queue", metavar="QUEUE")
    parser.add_argument(
        "--state", choices=cleaning.DRAINED, default=cleaning.DRAINED[0], help="Which jobs (default: %(default)s)."
    )
    parser.add_argument("--task", help="Only this task's jobs.")
    _limits(parser)


def _drain(paper: Paper, options: Mapping[str, Any]) -> None:
    queue, state, dry_run = options["queue"], options["state"], options["dry_run"]
    task = find_task(options["task"]).name if options["task"] else ""
    count = cleaning.drain(queue, state, task=task, limit=options["limit"], dry_run=dry_run)
    if paper.as_json:
        paper.document({"queue": queue, "state": state, "cancelled": count, "dry_run": dry_run})
        return
    if dry_run:
        text = ngettext("%(count)d job would be cancelled", "%(count)d jobs would be cancelled", count)
    else:
        text = ngettext("%(count)d job cancelled", "%(count)d jobs cancelled", count)
    paper.say(f"{queue}: {text % {'count': count}}")


def _clean_arguments(parser: CommandParser) -> None:
    parser.add_argument("--queue", required=True)
    parser.add_argument("--state", choices=cleaning.CLEANED, required=True)
    parser.add_argument(
        "--older-than", type=age, required=True, metavar="AGE", help="How long ago they ended: 45s, 30m, 12h, 7d."
    )
    _limits(parser)


def _clean(paper: Paper, options: Mapping[str, Any]) -> None:
    queue, state, dry_run = options["queue"], options["state"], options["dry_run"]
    count = cleaning.clean(queue, state, options["older_than"], limit=options["limit"], dry_run=dry_run)
    if paper.as_json:
        paper.document({"queue": queue, "state": state, "removed": count, "dry_run": dry_run})
        return
    if dry_run:
        text = ngettext("%(count)d job would be removed", "%(count)d jobs would be removed", count)
    else:
        text = ngettext("%(count)d job removed", "%(count)d jobs removed", count)
    paper.say(f"{queue}: {text % {'count': count}}")


DRAIN = Action("drain", "Cancel what a queue holds and has not started.", _drain_arguments, _drain)
CLEAN = Action("clean", "Remove jobs that have ended.", _clean_arguments, _clean)
