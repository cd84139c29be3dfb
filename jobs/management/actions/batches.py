"""`manage.py jobs batches [ID]`: many jobs with one count and one end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext_lazy

from jobs.history import batches, live
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import whole
from jobs.models import Batch

#: How many are listed.
LISTED, MOST = 20, 1_000
#: What the text output says of a batch; the JSON has the keys.
STATES = {
    "running": pgettext_lazy("batch", "runs"),
    "cancelled": pgettext_lazy("batch", "cancelled"),
    "succeeded": pgettext_lazy("batch", "succeeded"),
    "ended": pgettext_lazy("batch", "ended, not all completed"),
}


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("id", nargs="?", metavar=_("ID"), help=_("One batch."))
    parser.add_argument(
        "--limit", type=whole(1, MOST), default=LISTED, metavar=_("NUMBER"), help=_("List at most so many.")
    )


def _batches(paper: Paper, options: Mapping[str, Any]) -> None:
    if options["id"] is None:
        _list(paper, options["limit"])
        return
    try:
        row = batches.row_of(UUID(options["id"]))
    except ValueError as error:
        raise CommandError(_("%(id)s is no batch's id") % {"id": options["id"]}, returncode=2) from error
    document = _document(row) | {"follow": batches.followers(row.pk)}
    if paper.as_json:
        paper.document(document)
        return
    words = {"complete": _("follows its end"), "success": _("follows if all complete"), "failure": _("follows if not")}
    lines = [
        (_("batch"), str(row.pk)),
        (_("name"), row.name or "–"),
        (_("state"), str(STATES[document["state"]])),
        (_("created (UTC)"), _time(row.created_at)),
        (_("ended (UTC)"), _time(row.ended_at)),
        *((_heads()[name], str(number)) for name, number in document["counts"].items()),
        *((words[role], str(job)) for role, job in sorted(document["follow"].items())),
    ]
    paper.table((), lines)


def _list(paper: Paper, limit: int) -> None:
    live.hear()
    found = [_document(row, hears=False) for row in batches.all_batches()[:limit]]
    if paper.as_json:
        paper.document(found)
        return
    heads = _heads()
    lines = [
        (
            *(str(one["id"]), one["name"] or "–", str(STATES[one["state"]]), _time(one["created"])),
            *(str(one["counts"][name]) for name in heads),
        )
        for one in found
    ]
    paper.table((_("batch"), _("name"), _("state"), _("created (UTC)"), *heads.values()), lines)
    if not lines:
        paper.say(_("no batches"))


def _heads() -> dict[str, str]:
    return {
        "total": _("jobs"),
        "waiting": _("waiting"),
        "active": _("active"),
        "completed": _("completed"),
        "failed": _("failed"),
        "cancelled": _("cancelled"),
        "expired": _("expired"),
    }


def _document(row: Batch, *, hears: bool = True) -> dict[str, Any]:
    counts = batches.counts_of(row.pk, hears=hears)
    return {
        "id": row.pk,
        "name": row.name,
        "state": _state(row),
        "cancelled": row.cancelled,
        "created": row.created_at,
        "ended": row.ended_at,
        "counts": asdict(counts),
        "progress": round(counts.progress, 4),
    }


def _state(row: Batch) -> str:
    if row.succeeded:
        return "succeeded"
    if row.cancelled:
        return "cancelled"
    return "running" if row.ended_at is None else "ended"


def _time(moment: datetime | None) -> str:
    return "–" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


BATCHES = Action("batches", gettext_noop("List batches with their counts, or show one."), _arguments, _batches)
