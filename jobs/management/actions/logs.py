"""`manage.py jobs logs ID`: what a job's task logged, of all its starts, and what it still logs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jobs.define.desk import LogLine
from jobs.define.masks import Mask
from jobs.errors import UnknownJob
from jobs.history import inside, lookup
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import uuid
from jobs.states import ENDED

#: Seconds between two looks with --follow; and for how long after the job's end its last lines are waited for.
LOOK_EVERY, LAST_LINES = 0.5, 1.0


def _logs_arguments(parser: CommandParser) -> None:
    parser.add_argument("id", type=uuid, metavar="ID", help=_("The job's id."))
    parser.add_argument(
        "--follow",
        action="store_true",
        help=_("Go on with what the job logs until it has ended; with --json, one JSON object a line."),
    )


def _logs(paper: Paper, options: Mapping[str, Any]) -> None:
    mask = lookup.mask_of(lookup.find_job(options["id"]))
    follows = options["follow"]
    lines, position = inside.logs_of(options["id"])
    if paper.as_json and not follows:
        paper.document([_document(line, mask) for line in lines])
        return
    start: tuple[int, int] | None = None
    while True:
        for line in lines:
            if not paper.as_json and (line.run, line.start) != start:
                paper.say(_head(line))
            start = (line.run, line.start)
            _print(paper, line, mask)
        if not follows:
            return
        paper.flush()
        follows = not _has_ended(options["id"])
        time.sleep(LOOK_EVERY if follows else LAST_LINES)
        lines, position = inside.logs_of(options["id"], position)


def _print(paper: Paper, line: LogLine, mask: Mask) -> None:
    if paper.as_json:
        paper.record(_document(line, mask))
        return
    at = f"{line.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    for text in mask(line.text).split("\n"):
        paper.say(f"{at}  {text}")


def _head(line: LogLine) -> str:
    text = _("run %(run)d, start %(start)d, attempt %(attempt)d (times in UTC)")
    head = text % {"run": line.run, "start": line.start, "attempt": line.attempt}
    if line.number == 1:
        return head
    cut = line.number - 1
    text = ngettext("%(count)d earlier line was not kept", "%(count)d earlier lines were not kept", cut)
    return f"{head}: {text % {'count': cut}}"


def _has_ended(job_id: Any) -> bool:
    try:
        return lookup.find_job(job_id).state in ENDED
    except UnknownJob:  # retention was faster
        return True


def _document(line: LogLine, mask: Mask) -> dict[str, Any]:
    return {
        "run": line.run,
        "start": line.start,
        "attempt": line.attempt,
        "number": line.number,
        "at": line.at.isoformat(),
        "text": mask(line.text),
    }


LOGS = Action("logs", gettext_noop("Print what a job's task logged."), _logs_arguments, _logs)
