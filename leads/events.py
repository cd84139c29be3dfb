"""The business facts that `leads` announces."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from jobs import Event, EventSignal


@dataclass(frozen=True, kw_only=True)
class LeadCreated(Event):
    """A lead exists that did not exist before."""

    organization_id: UUID
    lead_id: UUID
    name: str
    email: str
    status: str
    source: str
    assigned_to: UUID | None


@dataclass(frozen=True, kw_only=True)
class LeadAssigned(Event):
    """Someone else, or nobody, now looks after the lead."""

    organization_id: UUID
    lead_id: UUID
    assignee_id: UUID | None
    previous_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class LeadStatusChanged(Event):
    """The lead went from one status to another."""

    organization_id: UUID
    lead_id: UUID
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class LeadReturned(Event):
    """A lead that was known wrote again."""

    organization_id: UUID
    lead_id: UUID
    submission_id: UUID


@dataclass(frozen=True, kw_only=True)
class LeadChanged(Event):
    """A person edited these fields of the lead."""

    organization_id: UUID
    lead_id: UUID
    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LeadUnsubscribed(Event):
    """The lead wants no more mail."""

    organization_id: UUID
    lead_id: UUID


@dataclass(frozen=True, kw_only=True)
class LeadEnriched(Event):
    """More is known of the lead than it told."""

    organization_id: UUID
    lead_id: UUID


@dataclass(frozen=True, kw_only=True)
class LeadScored(Event):
    """The lead's score was calculated from what is known now; `old` is None the first time."""

    organization_id: UUID
    lead_id: UUID
    old: int | None
    new: int


@dataclass(frozen=True, kw_only=True)
class LeadScoreDecayed(Event):
    """The lead's score is lower than it was, only because time went by."""

    organization_id: UUID
    lead_id: UUID
    old: int
    new: int


@dataclass(frozen=True, kw_only=True)
class LeadGrewStale(Event):
    """Nobody has touched the lead for `STALE_LEAD_DAYS`; told once, until somebody touches it."""

    organization_id: UUID
    lead_id: UUID
    assignee_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class SubmissionReceived(Event):
    """A valid submission now belongs to a lead, new or known."""

    organization_id: UUID
    submission_id: UUID
    lead_id: UUID


@dataclass(frozen=True, kw_only=True)
class ConsentAsked(Event):
    """Somebody said that the lead agrees; it counts once the lead has confirmed it by mail."""

    organization_id: UUID
    lead_id: UUID


@dataclass(frozen=True, kw_only=True)
class LeadsImported(Event):
    """An import has ended: all rows are done, somebody cancelled it, or it stopped early. Its leads have no events."""

    organization_id: UUID
    import_id: UUID


lead_created = EventSignal(LeadCreated)
lead_assigned = EventSignal(LeadAssigned)
lead_status_changed = EventSignal(LeadStatusChanged)
lead_returned = EventSignal(LeadReturned)
lead_changed = EventSignal(LeadChanged)
lead_unsubscribed = EventSignal(LeadUnsubscribed)
lead_enriched = EventSignal(LeadEnriched)
lead_scored = EventSignal(LeadScored)
lead_score_decayed = EventSignal(LeadScoreDecayed)
lead_grew_stale = EventSignal(LeadGrewStale)
submission_received = EventSignal(SubmissionReceived)
consent_asked = EventSignal(ConsentAsked)
leads_imported = EventSignal(LeadsImported)
