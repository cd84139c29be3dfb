"""What `emails` holds of a lead, and how it is emptied."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from django.db.models import CharField, F, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat

from jobs import Subject
from leads.erasing import ErasurePart, Found, change_in_pieces, register_part
from leads.models import Lead

from .models import EmailMessage


def mails_of(lead: Lead, texts: Sequence[str]) -> QuerySet[EmailMessage]:
    """The mails about the lead, and those that went to its addresses, which no member has."""
    to_it = Q()
    for text in texts:
        if "@" in text:
            to_it |= Q(to__iexact=text, recipient__isnull=True)
    return EmailMessage.objects.filter(Q(lead=lead) | to_it)


def empty_mails(found: Found) -> int:
    """The mails about the lead."""
    return _empty(EmailMessage.objects.filter(lead=found.lead))


def empty_other_mails(found: Found) -> int:
    """The mails that went to its addresses, and are about nothing or another lead; and daily mails that name it."""
    rows = mails_of(found.lead, found.texts).exclude(lead=found.lead)
    return change_in_pieces(rows, rows.values_list("pk", flat=True), _empty) + _empty_digests(found)


def _empty_digests(found: Found) -> int:
    """The daily mails to members with a title that names the person."""
    condition = Q(pk=None)
    for text in found.long_texts:
        # what is still to be sent stands there as JSON, escaped on one of the databases
        for way in {text, json.dumps(text)[1:-1]}:
            condition |= Q(text__icontains=way) | Q(written__icontains=way)
    digests = EmailMessage.objects.filter(kind=EmailMessage.Kind.DIGEST)
    rows = digests.annotate(written=Cast("params", TextField())).filter(condition)
    return change_in_pieces(digests, rows.values_list("pk", flat=True), _empty)


def _empty(mails: QuerySet[EmailMessage]) -> int:
    """Address, text and parameters; a member who was told about the lead stays its mail's addressee."""
    key = Concat(Value("erased:"), Cast(F("pk"), CharField()))
    # last, since by the address it is that some of them are found
    number = EmailMessage.withdraw(mails, key=key, params={}, subject="", text="", html="", delivery_detail="")
    mails.filter(recipient__isnull=True).update(to="")
    return number


def subjects_of(lead: Lead) -> Iterable[Subject]:
    """The mails as jobs carry them."""
    for pk in mails_of(lead, [lead.email]).values_list("pk", flat=True):
        yield Subject(EmailMessage._meta.label_lower, str(pk), "message_id")


def texts_of(lead: Lead) -> Iterable[str]:
    """The addresses that the lead was written to, also earlier ones."""
    rows = EmailMessage.objects.filter(lead=lead, recipient__isnull=True)
    return rows.exclude(kind=EmailMessage.Kind.LEAD_NOTIFICATION).values_list("to", flat=True).distinct()


def register() -> None:
    """Register the part; called once, when the app is ready."""
    register_part(ErasurePart("emails.emailmessage", empty_mails, empty_other_mails, subjects_of, texts_of))
