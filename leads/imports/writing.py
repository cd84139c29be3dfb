"""What becomes of the rows of a piece: new leads, known ones that are updated, or nothing.

Nobody is told of a single lead, and no job follows one: a file of 100,000 rows must not become 100,000 mails. So
nothing here announces `LeadCreated` or `LeadChanged`; the score, which needs no other machine, is calculated at once.
The end of the import is announced once, see `imports.running`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts.members import is_active_member
from accounts.models import Organization

from .. import consent
from ..models import Activity, ConsentAct, ConsentRecord, KnownLeads, Lead, LeadImport
from ..work import SCORE_FIELDS, calculate_scores
from .rows import ReadRow

#: What an import never replaces: the lead's own words, and where it first came from.
_KEPT = ("message", "email")
#: What a known lead always has, so that there is nothing to fill.
_FULL = ("status", "source")


@dataclass
class Outcome:
    """What became of a piece's rows."""

    created: list[Lead] = field(default_factory=list)
    updated: dict[UUID, tuple[Lead, set[str]]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("created", "updated", "skipped", "wrong"), 0))


@dataclass(frozen=True)
class Known:
    """The organization's leads that a piece's rows may mean."""

    by_key: dict[str, Lead]
    by_phone: dict[str, Lead]
    unsubscribed: set[str]
    withdrawn: dict[tuple[UUID | None, str], datetime]

    def of(self, row: ReadRow) -> Lead | None:
        """The one that the row is about: by its address, without one by its phone."""
        if row.key is not None:
            return self.by_key.get(row.key)
        return self.by_phone.get(row.fields.get("phone", ""))


def known_leads(organization_id: UUID, rows: Sequence[ReadRow], *, lock: bool) -> Known:
    """Read what is known of the people in these rows; `lock`: nobody else changes it until the transaction ends."""
    right = [row for row in rows if not row.errors]
    phones = {row.fields["phone"] for row in right if row.key is None}
    if lock and phones:
        # as in `services.leads`: nothing but this lock keeps two first messages of one phone from becoming two leads
        Organization.objects.select_for_update(no_key=True).get(pk=organization_id)
    leads = Lead.present.filter(organization_id=organization_id)
    if lock:
        leads = leads.select_for_update()
    by_key = {
        str(lead.email_key): lead
        for lead in leads.filter(email_key__in={row.key for row in right if row.key is not None}).order_by("pk")
    }
    sharing: dict[str, list[Lead]] = defaultdict(list)
    for lead in leads.filter(phone__in=phones).order_by("created_at", "pk") if phones else ():
        sharing[lead.phone].append(lead)
    by_phone = {phone: found for phone, those in sharing.items() if (found := _of_phone(those)) is not None}
    agreeing = [row for row in right if row.agreements]
    unsubscribed = consent.unsubscribed_among(organization_id, {row.key for row in agreeing if row.key is not None})
    known = Known(by_key, by_phone, unsubscribed, {})
    known.withdrawn.update(_withdrawals([one.pk for row in agreeing if (one := known.of(row)) is not None]))
    return known


def write_rows(lead_import: LeadImport, rows: Sequence[ReadRow]) -> Outcome:
    """Make leads of the rows, in the caller's transaction.

    Raises `IntegrityError` if somebody else has added one of the addresses meanwhile: then all of it is done again.
    """
    now, outcome = timezone.now(), Outcome()
    known = known_leads(lead_import.organization_id, rows, lock=True)
    assignee_id = lead_import.assignee_id
    if assignee_id is not None and not is_active_member(assignee_id, lead_import.organization_id):
        assignee_id = None
    lines: list[ConsentRecord] = []
    for row in rows:
        if row.errors:
            outcome.counts["wrong"] += 1
            continue
        lead = known.of(row)
        if lead is None:
            lead = _new(lead_import, row, assignee_id)
            outcome.created.append(lead)
            outcome.counts["created"] += 1
            _remember(known, row, lead)
            lines += _agree(lead, row, known, lead_import.created_by)
            continue
        changed = _change(lead, row, lead_import.known, assignee_id)
        if lead_import.known != KnownLeads.SKIP and (given := _agree(lead, row, known, lead_import.created_by)):
            lines += given
            changed |= {f"{line.purpose}_consent_at" for line in given}
        outcome.counts["updated" if changed else "skipped"] += 1
        if changed and not lead._state.adding:
            outcome.updated.setdefault(lead.pk, (lead, set()))[1].update(changed)
    _save(lead_import, outcome, now)
    ConsentRecord.objects.bulk_create(lines)
    return outcome


def changes_of(lead: Lead, row: ReadRow, known: str, assignee_id: UUID | None = None) -> dict[str, Any]:
    """What the row changes of a lead that is known, by the choice that was made for such leads."""
    given = dict(row.fields)
    if assignee_id is not None:
        given.setdefault("assignee_id", assignee_id if lead.assignee_id is None else lead.assignee_id)
    if known == KnownLeads.SKIP:
        return {}
    if known == KnownLeads.FILL:
        return {name: value for name, value in given.items() if name not in _FULL and getattr(lead, name) in ("", None)}
    return {
        name: value
        for name, value in given.items()
        if getattr(lead, name) != value and (name not in _KEPT or not getattr(lead, name))
    }


def _of_phone(leads: Sequence[Lead]) -> Lead | None:
    """Who is known by this phone only, else the one lead that has it."""
    by_phone_only = next((lead for lead in leads if lead.email_key is None), None)
    return by_phone_only or (leads[0] if len(leads) == 1 else None)


def _withdrawals(lead_ids: Collection[UUID]) -> dict[tuple[UUID | None, str], datetime]:
    """When each of these leads last took back a consent."""
    rows = ConsentRecord.objects.filter(lead_id__in=lead_ids, act=ConsentAct.WITHDRAWN).order_by("at")
    return {(lead_id, purpose): at for lead_id, purpose, at in rows.values_list("lead_id", "purpose", "at")}


def _new(lead_import: LeadImport, row: ReadRow, assignee_id: UUID | None) -> Lead:
    fields = {"source": lead_import.source, "assignee_id": assignee_id, **row.fields}
    return Lead(
        organization_id=lead_import.organization_id,
        email_key=row.key,
        imported_in=lead_import,
        score_version=1,
        **fields,
    )


def _remember(known: Known, row: ReadRow, lead: Lead) -> None:
    """The same person further down in the piece is no other lead."""
    if row.key is not None:
        known.by_key[row.key] = lead
    else:
        known.by_phone[lead.phone] = lead


def _change(lead: Lead, row: ReadRow, known: str, assignee_id: UUID | None) -> set[str]:
    changes = changes_of(lead, row, known, assignee_id)
    for name, value in changes.items():
        setattr(lead, name, value)
    return set(changes)


def _agree(lead: Lead, row: ReadRow, known: Known, actor: Any) -> list[ConsentRecord]:
    """Keep the row's consents. Who has unsubscribed stays so, and who has withdrawn one since then, too."""
    if not row.agreements or lead.unsubscribed_at is not None or lead.email_key in known.unsubscribed:
        return []
    lines = []
    for agreement in row.agreements:
        withdrawn = known.withdrawn.get((lead.pk, agreement.purpose))
        if consent.has_agreed(lead, agreement.purpose):
            continue
        if withdrawn is not None and (agreement.at is None or agreement.at <= withdrawn):
            continue
        lines.append(consent.give(lead, agreement, actor))
    return lines


def _save(lead_import: LeadImport, outcome: Outcome, now: datetime) -> None:
    changed = [lead for lead, _names in outcome.updated.values()]
    calculate_scores(changed, now)
    calculate_scores(outcome.created, now, contacted=False)
    for lead in outcome.created:
        lead.last_activity_at = now
    Lead.objects.bulk_create(outcome.created)
    activities = [_activity(lead_import, lead, Activity.Kind.CREATED, source=lead.source) for lead in outcome.created]
    for lead, names in outcome.updated.values():
        lead.version += 1
        lead.score_version = lead.version
        lead.last_activity_at = now
        if "assignee_id" in names:
            lead.touched_at, lead.stale_at = now, None
        columns = {name.removesuffix("_id") for name in names}
        lead.save(
            update_fields=[
                *columns,
                *SCORE_FIELDS,
                *("version", "score_version", "last_activity_at", "touched_at", "stale_at", "updated_at"),
            ]
        )
        activities.append(_activity(lead_import, lead, Activity.Kind.CHANGED, fields=sorted(columns)))
    Activity.objects.bulk_create(activities)


def _activity(lead_import: LeadImport, lead: Lead, kind: Activity.Kind, **detail: Any) -> Activity:
    actor_id = lead_import.created_by_id
    return Activity(lead=lead, kind=kind, detail={**detail, "import": str(lead_import.pk)}, actor_id=actor_id)


def wrong_of(rows: Iterable[ReadRow]) -> list[Any]:
    """The rows that are wrong, as a piece keeps them."""
    return [[row.line, row.cells, row.errors] for row in rows if row.errors]
