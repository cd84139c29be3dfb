"""Addresses that are not written to any more, since a mail to them bounced or was reported as spam.

Each organisation has its own: what one learns of an address is not told to another. A row without an organisation holds
for everybody's mails.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.keyed_hashes import keyed_hash, keyed_hashes
from leads.normalise import email_key

from .models import EmailMessage, Suppression

_SALT = "emails.suppression"


def suppress(message: EmailMessage, reason: Suppression.Reason, provider: str) -> bool:
    """Write no more to the mail's address; False if that is known, or the address was erased."""
    if not message.to:
        return False
    with transaction.atomic():
        # one after the other: two reports of one mail may come at once
        EmailMessage.objects.select_for_update().get(pk=message.pk)
        rows = Suppression.objects.filter(_has(message.to), reason=reason, lifted_at__isnull=True)
        own = Q(organization=message.organization_id) if message.organization_id else Q(organization__isnull=True)
        if rows.filter(own).exists():
            return False
        # a person may have lifted it since: the same report once more does not put it back
        if Suppression.objects.filter(message=message, reason=reason).exists():
            return False
        Suppression.objects.create(
            organization_id=message.organization_id,
            address_hash=address_hash(message.to),
            reason=reason,
            message=message,
            provider=provider,
        )
        return True


def is_suppressed(address: str, organization_id: UUID | None) -> bool:
    """Whether mails of this organisation (None: the site's own) must not go to the address."""
    theirs = Q(organization__isnull=True)
    if organization_id is not None:
        theirs |= Q(organization_id=organization_id)
    return Suppression.objects.filter(_has(address), theirs, lifted_at__isnull=True).exists()


def suppressed_among(organization_id: UUID, addresses: Sequence[str]) -> list[str]:
    """Those of the addresses that mails of the organisation must not go to."""
    return [address for address in addresses if is_suppressed(address, organization_id)]


def lift(suppression: Suppression, person: AbstractBaseUser) -> bool:
    """Allow mail again; the row stays and tells who did it. False if somebody had done so."""
    rows = Suppression.objects.filter(pk=suppression.pk, lifted_at__isnull=True)
    return bool(rows.update(lifted_at=timezone.now(), lifted_by=person.pk))


def of_address(rows: QuerySet[Suppression], address: str) -> QuerySet[Suppression]:
    """Those of the rows that are about an address."""
    return rows.filter(_has(address))


def address_hash(address: str) -> str:
    """What stands for an address: without the site's secret nobody can tell it back, or try addresses."""
    return keyed_hash(_SALT, _spelling(address))


def _has(address: str) -> Q:
    return Q(address_hash__in=keyed_hashes(_SALT, _spelling(address)))


def _spelling(address: str) -> str:
    try:
        return email_key(address) or ""
    except ValueError:
        return address.strip().casefold()
