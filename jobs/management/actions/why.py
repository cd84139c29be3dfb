"""`manage.py jobs why ID`: why a job waits and when it starts; of one that has ended, where its time went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.history import lookup
from jobs.history.why import why_of
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import uuid


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("id", type=uuid, metavar="ID", help=_("The job's id."))


def _why(paper: Paper, options: Mapping[str, Any]) -> None:
    job = lookup.find_job(options["id"])
    found = why_of(job, lookup.mask_of(job))
    if paper.as_json:
        paper.document({"id": job.pk, "queue": job.queue, "task": job.task, **asdict(found)})
        return
    paper.say(found.sentence)
    if found.reasons:
        paper.say("")
        paper.table((_("in the way"), _("what removes it")), [(one.text, one.remedy) for one in found.reasons])


WHY = Action("why", gettext_noop("Say why a job waits and when it starts, or where its time went."), _arguments, _why)
