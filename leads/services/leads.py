"""Changes of a lead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.members import is_active_member
from accounts.models import Organization

from .. import consent, normalise
from ..changes import record, touch
from ..consent import Agreement
from ..events import (
    LeadAssigned,
    LeadChanged,
    LeadCreated,
    LeadStatusChanged,
    lead_assigned,
    lead_changed,
    lead_created,
    lead_status_changed,
)
from ..models import Activity, Lead, LeadStatus, Note
from .consent import keep_lines

#: What a later submission fills where the lead is still empty.
_FILLED_LATER = ("company", "job_title", "message", "value", "currency", "time_zone", "locale")

#: What a person cannot just edit.
_CHANGED_ELSEWHERE = frozenset(
    {"status", "assignee", "id", "organization", "request_consent_at", "marketing_consent_at", "unsubscribed_at"}
)


def add_lead(lead: Lead, *, agreements: Sequence[Agreement] = (), actor: AbstractBaseUser | None = None) -> Lead:
    """Save a lead that is new and announce it; raises `IntegrityError` if the organisation has its e-mail already.

    What it agreed to comes in `agreements`, never on the lead itself: see `leads.consent`.
    """
    if lead.request_consent_at or lead.marketing_consent_at or lead.unsubscribed_at:
        raise ValueError("consent set on the lead itself has no proof; pass agreements=")
    with transaction.atomic():
        lead.email_key = normalise.email_key(lead.email)
        _check_assignee(lead.organization_id, lead.assignee_id)
        lines, _fields = consent.state(lead, agreements, known=False)
        lead.save(force_insert=True)
        keep_lines(lead, lines)
        record(lead, Activity.Kind.CREATED, {"source": lead.source}, actor)
        lead_created.announce(
            LeadCreated(
                organization_id=lead.organization_id,
                lead_id=lead.id,
                name=lead.name,
                email=lead.email,
                status=lead.status,
                source=lead.source,
                assigned_to=lead.assignee_id,
            )
        )
    return lead


def receive_lead(
    organization: Organization, fields: dict[str, Any], *, agreements: Sequence[Agreement] = ()
) -> tuple[Lead, bool]:
    """The organisation's lead with this e-mail, or without one with this phone; made if there is none, says whether.

    Of a lead that is known only what it left empty is filled: a stranger who knows an address must not rewrite it, nor
    say where else it is reached, nor what it agrees to.
    """
    key = normalise.email_key(fields.get("email", ""))
    with transaction.atomic():
        lead = _locked_by_email(organization.id, key)
        if key is None:
            lead = _locked_by_phone(organization.id, fields.get("phone", ""))
        if lead is None:
            new = Lead(organization=organization, **fields)
            try:
                with transaction.atomic():
                    return add_lead(new, agreements=agreements), True
            except IntegrityError:
                # someone else was faster with the same address
                lead = _locked_by_email(organization.id, key)
                if lead is None:
                    raise
        filled = [name for name in _FILLED_LATER if not getattr(lead, name) and fields.get(name)]
        for name in filled:
            setattr(lead, name, fields[name])
        lines, agreed = consent.state(lead, agreements, known=True)
        lead.version += 1
        lead.save(update_fields=[*filled, *agreed, "version", "updated_at"])
        keep_lines(lead, lines)
        return lead, False


def update_lead(lead: Lead, changed: Iterable[str], *, actor: AbstractBaseUser | None = None) -> Lead:
    """Save fields that a person edited. Status, assignee and consent have functions of their own.

    Raises `Lead.DoesNotExist`, and `IntegrityError` if the organisation has a lead with the new e-mail.
    """
    fields = sorted(set(changed) - _CHANGED_ELSEWHERE)
    if not fields:
        return lead
    with transaction.atomic():
        if "email" in fields:
            lead.email_key = normalise.email_key(lead.email)
            fields.append("email_key")
        version = Lead.present.select_for_update().values_list("version", flat=True).get(pk=lead.pk)
        lead.version = version + 1
        lead.save(update_fields=[*fields, "version", "updated_at"])
        edited = [name for name in fields if name != "email_key"]
        record(lead, Activity.Kind.CHANGED, {"fields": edited}, actor)
        lead_changed.announce(LeadChanged(organization_id=lead.organization_id, lead_id=lead.id, fields=tuple(edited)))
    return lead


def assign_lead(
    lead_id: UUID, organization_id: UUID, assignee_id: UUID | None, *, actor: AbstractBaseUser | None = None
) -> Lead:
    """Give the lead to a member of its organisation, or to nobody; raises `ValidationError`, `Lead.DoesNotExist`."""
    with transaction.atomic():
        lead = Lead.present.select_for_update().get(pk=lead_id, organization_id=organization_id)
        previous = lead.assignee_id
        if previous == assignee_id:
            return lead
        _check_assignee(organization_id, assignee_id)
        lead.assignee_id = assignee_id
        lead.version += 1
        lead.save(update_fields=["assignee", "version", "updated_at"])
        record(lead, Activity.Kind.ASSIGNED, {"old": _text(previous), "new": _text(assignee_id)}, actor)
        lead_assigned.announce(
            LeadAssigned(
                organization_id=organization_id, lead_id=lead_id, assignee_id=assignee_id, previous_id=previous
            )
        )
    return lead


def change_lead_status(
    lead_id: UUID, organization_id: UUID, status: str, *, actor: AbstractBaseUser | None = None
) -> Lead:
    """Move the lead to another status; raises `ValidationError` for an unknown one, `Lead.DoesNotExist`."""
    if status not in LeadStatus.values:
        raise ValidationError(_("%(status)s is not a lead status."), params={"status": status})
    with transaction.atomic():
        lead = Lead.present.select_for_update().get(pk=lead_id, organization_id=organization_id)
        old = lead.status
        if old == status:
            return lead
        lead.status = status
        lead.version += 1
        lead.save(update_fields=["status", "version", "updated_at"])
        record(lead, Activity.Kind.STATUS, {"old": old, "new": status}, actor)
        lead_status_changed.announce(
            LeadStatusChanged(organization_id=organization_id, lead_id=lead_id, old=old, new=status)
        )
    return lead


def add_note(lead: Lead, text: str, *, actor: AbstractBaseUser | None) -> Note:
    """Write down what a person knows about the lead; raises `Lead.DoesNotExist`."""
    with transaction.atomic():
        if not touch(lead.pk):
            raise Lead.DoesNotExist
        return Note.objects.create(lead=lead, author_id=actor.pk if actor else None, text=text)


def _locked_by_email(organization_id: UUID, key: str | None) -> Lead | None:
    if key is None:
        return None
    return Lead.present.select_for_update().filter(organization_id=organization_id, email_key=key).first()


def _locked_by_phone(organization_id: UUID, phone: str) -> Lead | None:
    """Who wrote by this phone only, else the one lead that gave it.

    Of several that gave it, as colleagues give their switchboard's, it is none: who calls is a lead of their own.
    """
    if not phone:
        return None
    # one at a time: nothing but this lock keeps two first messages of one phone from becoming two leads
    Organization.objects.select_for_update(no_key=True).get(pk=organization_id)
    leads = Lead.present.select_for_update().filter(organization_id=organization_id, phone=phone)
    by_phone_only = leads.filter(email_key__isnull=True).order_by("created_at", "pk").first()
    if by_phone_only is not None:
        return by_phone_only
    others = list(leads.order_by("pk")[:2])
    return others[0] if len(others) == 1 else None


def _check_assignee(organization_id: UUID, assignee_id: UUID | None) -> None:
    if assignee_id is not None and not is_active_member(assignee_id, organization_id):
        raise ValidationError(_("Leads can only be assigned to active members of their organization."))


def _text(person_id: UUID | None) -> str | None:
    return None if person_id is None else str(person_id)
