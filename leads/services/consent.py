"""What a lead agrees to, and what it no longer wants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import consent
from ..changes import record, touch
from ..consent import Agreement
from ..events import ConsentAsked, LeadChanged, LeadUnsubscribed, consent_asked, lead_changed, lead_unsubscribed
from ..models import Activity, ConsentAct, ConsentPurpose, ConsentRecord, ConsentSource, Lead

_FIELDS = ("request_consent_at", "marketing_consent_at", "unsubscribed_at")


def record_consent(
    lead_id: UUID,
    organization_id: UUID,
    purposes: Sequence[ConsentPurpose],
    *,
    source: ConsentSource,
    wording: str,
    at: datetime | None = None,
    resubscribe: bool = False,
    actor: AbstractBaseUser | None,
) -> list[ConsentRecord]:
    """Record what the lead told a person; returns the lines of the log. `at`: when, if that was earlier.

    Of a lead that unsubscribed it counts only with `resubscribe`, for which the lead must have said so since; otherwise
    the lead is asked by mail first. Raises `ValidationError` for what cannot be, `Lead.DoesNotExist`.
    """
    with transaction.atomic():
        lead = Lead.present.select_for_update().get(pk=lead_id, organization_id=organization_id)
        asked = [purpose for purpose in purposes if not consent.has_agreed(lead, purpose)]
        unsubscribed = lead.unsubscribed_at is not None or consent.has_unsubscribed(lead)
        if not asked:
            raise ValidationError(_("The lead has already agreed to this."))
        if at is not None and at > timezone.now():
            raise ValidationError(_("The time of consent is in the future."))
        if resubscribe and at is not None and lead.unsubscribed_at is not None and at <= lead.unsubscribed_at:
            raise ValidationError(_("The lead unsubscribed after that."))
        if unsubscribed and not resubscribe and not lead.email:
            raise ValidationError(_("The lead unsubscribed and has no email address to confirm this with."))
        agreements = [Agreement(purpose, source, wording, at=at) for purpose in asked]
        if unsubscribed and not resubscribe:
            records = [consent.ask(lead, agreement, actor) for agreement in agreements]
        else:
            records = [consent.give(lead, agreement, actor, resubscribe=resubscribe) for agreement in agreements]
        _keep(lead, records, actor)
        if not unsubscribed or resubscribe:
            _announce_change(lead)
    return records


def confirm_consent(lead_id: UUID, record_ids: Sequence[UUID]) -> list[ConsentRecord]:
    """The lead confirms by mail what it was asked; returns the lines that now say so.

    None where there is nothing left to confirm: it was confirmed before, or the lead has said something else since.
    """
    with transaction.atomic():
        lead = Lead.present.select_for_update().filter(pk=lead_id).first()
        if lead is None:
            return []
        asked = {line.purpose: line for line in consent.waiting(lead, record_ids)}
        records = [
            consent.give(
                lead,
                Agreement(ConsentPurpose(purpose), ConsentSource.CONFIRMED, line.wording, line.wording_version),
                resubscribe=True,
            )
            for purpose, line in asked.items()
        ]
        if records:
            _keep(lead, records)
            _announce_change(lead)
    return records


def withdraw_marketing_consent(
    lead_id: UUID, organization_id: UUID, *, wording: str = "", actor: AbstractBaseUser | None
) -> list[ConsentRecord]:
    """The lead told a person that it wants no news and offers; raises `ValidationError`, `Lead.DoesNotExist`."""
    with transaction.atomic():
        lead = Lead.present.select_for_update().get(pk=lead_id, organization_id=organization_id)
        waits = any(line.purpose == ConsentPurpose.MARKETING for line in consent.waiting(lead))
        if lead.marketing_consent_at is None and not waits:
            raise ValidationError(_("The lead has not agreed to news and offers."))
        purposes = [ConsentPurpose.MARKETING]
        records = consent.withdraw(lead, purposes, ConsentSource.STAFF, wording=wording, unsubscribe=False, actor=actor)
        _keep(lead, records, actor)
        _announce_change(lead)
    return records


def unsubscribe_lead(
    lead_id: UUID,
    *,
    source: ConsentSource = ConsentSource.UNSUBSCRIBE_LINK,
    wording: str = "",
    actor: AbstractBaseUser | None = None,
) -> bool:
    """The lead wants to hear nothing more; False if there is no such lead. A second time changes nothing."""
    with transaction.atomic():
        lead = Lead.present.select_for_update().filter(pk=lead_id).first()
        if lead is None:
            return False
        if lead.unsubscribed_at is not None and not consent.waiting(lead):
            return True
        new = lead.unsubscribed_at is None
        records = consent.withdraw(lead, list(ConsentPurpose), source, wording=wording, unsubscribe=True, actor=actor)
        _keep(lead, records, actor)
        if new:
            record(lead, Activity.Kind.UNSUBSCRIBED, actor=actor)
            lead_unsubscribed.announce(LeadUnsubscribed(organization_id=lead.organization_id, lead_id=lead_id))
    return True


def keep_lines(lead: Lead, records: Sequence[ConsentRecord]) -> None:
    """Save the log's lines of a lead that is saved; what waits for the lead's confirmation is announced."""
    ConsentRecord.objects.bulk_create(records)
    if any(line.act == ConsentAct.ASKED for line in records):
        consent_asked.announce(ConsentAsked(organization_id=lead.organization_id, lead_id=lead.pk))


def _keep(lead: Lead, records: Sequence[ConsentRecord], actor: AbstractBaseUser | None = None) -> None:
    """Save the lead's times and the lines that say how they came to be; what a person noted touches the lead."""
    if actor is not None:
        touch(lead.pk)
    lead.version += 1
    lead.save(update_fields=[*_FIELDS, "version", "updated_at"])
    keep_lines(lead, records)


def _announce_change(lead: Lead) -> None:
    lead_changed.announce(LeadChanged(organization_id=lead.organization_id, lead_id=lead.pk, fields=_FIELDS))
