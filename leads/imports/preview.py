"""The first rows of a file as they will be read, with what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from ..models import KnownLeads, Lead, LeadImport, LeadSource, LeadStatus, unpacked
from .fields import CONSENTS, FIELDS, NAMES
from .rows import ReadRow, RowReader
from .writing import changes_of, known_leads

SHOWN = 20
NEW, UPDATED, SKIPPED, WRONG = "new", "updated", "skipped", "wrong"


@dataclass(frozen=True)
class PreviewRow:
    """One row: what its cells mean, by column, and what becomes of it."""

    line: int
    outcome: str
    word: str
    values: list[str]
    texts: list[str]
    known: Lead | None = None


@dataclass(frozen=True)
class Preview:
    """The columns that are read, and the first rows."""

    columns: list[str]
    rows: list[PreviewRow]


def preview_of(lead_import: LeadImport) -> Preview:
    """Read the first rows as the jobs will; nothing is kept."""
    piece = lead_import.pieces.order_by("number").first()
    cells = unpacked(piece.content)[:SHOWN] if piece else []
    rows = RowReader(lead_import).read_all(cells)
    known = known_leads(lead_import.organization_id, rows, lock=False)
    names = _columns(lead_import)
    shown, seen = [], dict[str, int]()
    for row in rows:
        lead = known.of(row)
        key = row.key or row.fields.get("phone", "")
        before = None if row.errors else seen.get(key)
        seen.setdefault(key, row.line)
        shown.append(_shown(lead_import, row, lead, before, names))
    return Preview([str(FIELDS[name]) for name in names], shown)


def samples_of(lead_import: LeadImport, number: int = 3) -> list[list[str]]:
    """For each column the first cells that are not empty."""
    piece = lead_import.pieces.order_by("number").first()
    rows = [cells for _line, cells in (unpacked(piece.content)[:SHOWN] if piece else [])]
    columns = range(len(lead_import.header))
    return [[row[at] for row in rows if at < len(row) and row[at].strip()][:number] for at in columns]


def _columns(lead_import: LeadImport) -> list[str]:
    chosen = set(lead_import.mapping)
    names = {"name"} if chosen & set(NAMES) else set()
    return [name for name in FIELDS if name in names | (chosen - set(NAMES))]


def _shown(
    lead_import: LeadImport, row: ReadRow, lead: Lead | None, before: int | None, names: list[str]
) -> PreviewRow:
    values = [_value(row, lead_import, name) for name in names]
    if row.errors:
        return PreviewRow(row.line, WRONG, pgettext("row", "wrong"), values, row.errors)
    texts = []
    if before is not None:
        texts = [_("The same person as on line %(line)s.") % {"line": before}]
        outcome = SKIPPED if lead_import.known == KnownLeads.SKIP else UPDATED
    elif lead is None:
        outcome = NEW
    else:
        changed = changes_of(lead, row, lead_import.known, lead_import.assignee_id)
        outcome = UPDATED if changed or (row.agreements and lead_import.known != KnownLeads.SKIP) else SKIPPED
        texts = [_("Known already.")]
        labels = [str(FIELDS.get(name.removesuffix("_id"), name)) for name in changed]
        if labels:
            texts.append(_("Changes: %(fields)s.") % {"fields": ", ".join(labels)})
    words = {
        NEW: pgettext("row", "new lead"),
        UPDATED: pgettext("row", "update"),
        SKIPPED: pgettext("row", "skip"),
    }
    return PreviewRow(row.line, outcome, words[outcome], values, texts, lead)


def _value(row: ReadRow, lead_import: LeadImport, name: str) -> str:
    """As it was understood; where it was not, as it stands in the file."""
    if row.errors and name not in row.fields:
        columns = NAMES if name == "name" else (name,)
        at = [lead_import.mapping.index(one) for one in columns if one in lead_import.mapping]
        return " ".join(row.cells[index] for index in at if index < len(row.cells))
    if name in CONSENTS:
        return _("yes") if any(f"{name}" == _field(one.purpose) for one in row.agreements) else ""
    if name in {"consent_at", "consent_wording"}:
        agreement = next(iter(row.agreements), None)
        if agreement is None:
            return ""
        return agreement.wording if name == "consent_wording" else localize(agreement.at) if agreement.at else ""
    value: Any = row.fields.get("assignee_id" if name == "assignee" else name, "")
    if name == "assignee":
        at = lead_import.mapping.index(name)
        return row.cells[at].strip() if value and at < len(row.cells) else ""
    if name in {"status", "source"} and value:
        return str((LeadStatus if name == "status" else LeadSource)(value).label)
    return str(localize(value))


def _field(purpose: str) -> str:
    return {"request": "consent", "marketing": "marketing_consent"}[purpose]
