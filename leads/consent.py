"""What a lead agreed to: the rules, and the one place that changes a lead's three times and writes the log.

Two consents: replies to the request, and news and offers. What a stranger states for somebody else must bind nobody, so
it is only *asked*, and counts once the address has confirmed it by mail:

* all that a public form or the API says of a lead that is known, or whose address unsubscribed;
* news and offers by the public form, of anybody.

Unsubscribing withdraws both. All functions work in the caller's transaction, on a lead that it has locked or just made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.keyed_hashes import keyed_hashes

from .models import ConsentAct, ConsentPurpose, ConsentRecord, ConsentSource, Lead
from .normalise import email_key

#: What the public form shows beside its two boxes; a test wants a new version when a text changes.
FORM_WORDINGS = {
    ConsentPurpose.REQUEST: _("You may contact me about my request."),
    ConsentPurpose.MARKETING: _("Send me news and offers by email. I can unsubscribe at any time."),
}
FORM_WORDING_VERSION = "form-1"
_FIELDS = {ConsentPurpose.REQUEST: "request_consent_at", ConsentPurpose.MARKETING: "marketing_consent_at"}


@dataclass(frozen=True)
class Agreement:
    """That somebody agreed: for what, how we know, and the words. `at`: when, if that is not now."""

    purpose: ConsentPurpose
    source: ConsentSource
    wording: str = ""
    version: str = ""
    at: datetime | None = None


def has_agreed(lead: Lead, purpose: ConsentPurpose) -> bool:
    """Whether the lead may be written to for this purpose."""
    agreed: datetime | None = getattr(lead, _FIELDS[purpose])
    return agreed is not None and lead.unsubscribed_at is None and lead.erased_at is None


def counts_at_once(agreement: Agreement, *, known: bool, unsubscribed: bool) -> bool:
    """Whether the agreement holds without a confirmation by mail."""
    if agreement.source in {ConsentSource.FORM, ConsentSource.API} and (known or unsubscribed):
        return False
    return not (agreement.source == ConsentSource.FORM and agreement.purpose == ConsentPurpose.MARKETING)


def state(lead: Lead, agreements: Iterable[Agreement], *, known: bool) -> tuple[list[ConsentRecord], list[str]]:
    """The log's lines for what was stated of the lead, not saved yet, and the lead's fields that were set.

    What the lead has agreed to before adds no line.
    """
    unsubscribed = lead.unsubscribed_at is not None or has_unsubscribed(lead)
    records, changed = [], []
    for agreement in agreements:
        if has_agreed(lead, agreement.purpose):
            continue
        if counts_at_once(agreement, known=known, unsubscribed=unsubscribed):
            records.append(give(lead, agreement))
            changed.append(_FIELDS[agreement.purpose])
        else:
            records.append(ask(lead, agreement))
    return records, changed


def ask(lead: Lead, agreement: Agreement, actor: AbstractBaseUser | None = None) -> ConsentRecord:
    """The line, not saved yet, that this agreement waits for the lead's confirmation."""
    stands = getattr(lead, _FIELDS[agreement.purpose])
    return _line(lead, agreement, ConsentAct.ASKED, stands, lead.unsubscribed_at, actor)


def give(
    lead: Lead, agreement: Agreement, actor: AbstractBaseUser | None = None, *, resubscribe: bool = False
) -> ConsentRecord:
    """Set the consent on the lead; the line that says so. Neither is saved yet.

    `resubscribe` ends an unsubscription.
    """
    old, old_unsubscribed = getattr(lead, _FIELDS[agreement.purpose]), lead.unsubscribed_at
    setattr(lead, _FIELDS[agreement.purpose], agreement.at or timezone.now())
    if resubscribe:
        lead.unsubscribed_at = None
    return _line(lead, agreement, ConsentAct.GIVEN, old, old_unsubscribed, actor)


def withdraw(
    lead: Lead,
    purposes: Sequence[ConsentPurpose],
    source: ConsentSource,
    *,
    wording: str = "",
    unsubscribe: bool,
    actor: AbstractBaseUser | None = None,
) -> list[ConsentRecord]:
    """Take consents from the lead, and mark it as unsubscribed if asked to; the lines that say so, not saved yet."""
    records = []
    for purpose in purposes:
        old, old_unsubscribed = getattr(lead, _FIELDS[purpose]), lead.unsubscribed_at
        setattr(lead, _FIELDS[purpose], None)
        if unsubscribe and lead.unsubscribed_at is None:
            lead.unsubscribed_at = timezone.now()
        agreement = Agreement(purpose, source, wording)
        records.append(_line(lead, agreement, ConsentAct.WITHDRAWN, old, old_unsubscribed, actor))
    return records


def waiting(lead: Lead, among: Collection[UUID] | None = None) -> list[ConsentRecord]:
    """The lines that wait for the lead's confirmation, oldest first: for each purpose those since it last decided.

    `among`: only those with these ids.
    """
    asked: dict[str, list[ConsentRecord]] = {}
    for record in ConsentRecord.objects.filter(lead=lead).order_by("at", "pk"):
        if record.act == ConsentAct.ASKED:
            asked.setdefault(record.purpose, []).append(record)
        else:
            asked.pop(record.purpose, None)
    lines = [record for records in asked.values() for record in records]
    return lines if among is None else [line for line in lines if line.pk in among]


def has_unsubscribed(lead: Lead) -> bool:
    """Whether the last that the lead's address said to this organisation, perhaps before an erasure, was to stop."""
    hashes = address_hashes(lead.email)
    if not hashes:
        return False
    said = ConsentRecord.objects.filter(organization_id=lead.organization_id, address_hash__in=hashes)
    last = said.exclude(act=ConsentAct.ASKED).order_by("-at", "-pk").first()
    return last is not None and last.new_unsubscribed is not None


def unsubscribed_among(organization_id: UUID, addresses: Iterable[str]) -> set[str]:
    """Those of the addresses whose last word to this organisation was to stop, as `has_unsubscribed` says of one."""
    by_hash = {one: address for address in addresses for one in address_hashes(address)}
    said = ConsentRecord.objects.filter(organization_id=organization_id, address_hash__in=list(by_hash))
    last: dict[str, datetime | None] = {}
    for known_by, unsubscribed in (
        said.exclude(act=ConsentAct.ASKED).order_by("at", "pk").values_list("address_hash", "new_unsubscribed")
    ):
        last[by_hash[known_by]] = unsubscribed
    return {address for address, unsubscribed in last.items() if unsubscribed is not None}


def address_hashes(address: str) -> list[str]:
    """What the log may know an address by, with the present key first; nothing for no address."""
    key = email_key(address)
    return [] if key is None else keyed_hashes("leads.consent", key)


def _line(
    lead: Lead,
    agreement: Agreement,
    act: ConsentAct,
    old: datetime | None,
    old_unsubscribed: datetime | None,
    actor: AbstractBaseUser | None,
) -> ConsentRecord:
    """A line with what stood on the lead before, and what stands on it now."""
    return ConsentRecord(
        organization_id=lead.organization_id,
        lead=lead,
        purpose=agreement.purpose,
        act=act,
        source=agreement.source,
        wording=agreement.wording,
        wording_version=agreement.version,
        old=old,
        new=getattr(lead, _FIELDS[agreement.purpose]),
        old_unsubscribed=old_unsubscribed,
        new_unsubscribed=lead.unsubscribed_at,
        address_hash=next(iter(address_hashes(lead.email)), ""),
        actor_id=actor.pk if actor else None,
    )
