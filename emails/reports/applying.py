"""A report changes the mail it is about, once, and only forward."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from leads.models import ConsentSource, EffectState
from leads.services import unsubscribe_lead

from .. import suppression
from ..composing import TO_LEADS
from ..models import Delivery, EmailMessage, Suppression
from .report import Kind, Report

#: The last one counts, in whatever order they come: a mail that was delivered may still bounce, or be complained of.
_ORDER = (Delivery.UNKNOWN, Delivery.DELIVERED, Delivery.REJECTED, Delivery.BOUNCED, Delivery.COMPLAINED)
_DELIVERIES = {
    Kind.DELIVERED: Delivery.DELIVERED,
    Kind.REJECTED: Delivery.REJECTED,
    Kind.BOUNCED: Delivery.BOUNCED,
    Kind.COMPLAINED: Delivery.COMPLAINED,
}
#: The service has what we did not know, or not believe, it had.
_PERHAPS_SENT = (
    EffectState.PENDING,
    EffectState.DEFERRED,
    EffectState.SENDING,
    EffectState.UNCLEAR,
    EffectState.FAILED,
)
#: Clocks differ by so much.
SKEW = timedelta(minutes=5)
logger = logging.getLogger("emails.reports")


def apply(report: Report) -> bool:
    """Note the report; False if it is about no mail of ours, an earlier sending, or nothing new."""
    message = _find(report)
    if message is None or _is_stale(report, message):
        return False
    with transaction.atomic():
        reconciled = _reconcile(message, report)
        moved = _note(message, report)
        if moved and report.kind == Kind.COMPLAINED:
            suppression.suppress(message, Suppression.Reason.COMPLAINED, report.provider)
            if message.lead_id is not None and message.kind in TO_LEADS:
                unsubscribe_lead(message.lead_id, source=ConsentSource.COMPLAINT)
        # also if it comes late: the address is the same, whatever else was said of the mail
        bounced = report.lasting and suppression.suppress(message, Suppression.Reason.BOUNCED, report.provider)
    if reconciled or moved:
        logger.info("mail_reported mail=%s kind=%s provider=%s", message.pk, report.kind.value, report.provider)
    return reconciled or moved or bounced


def _find(report: Report) -> EmailMessage | None:
    """By our id, else by the service's; only what was handed to this service."""
    rows = EmailMessage.objects.filter(provider=report.provider, offered_at__isnull=False)
    if report.mail_id is not None:
        return rows.filter(pk=report.mail_id).first()
    return rows.filter(receipt=report.receipt).first() if report.receipt else None


def _is_stale(report: Report, message: EmailMessage) -> bool:
    """Whether it is about a mail before the one that was sent again."""
    return report.at is not None and message.offered_at is not None and report.at < message.offered_at - SKEW


def _reconcile(message: EmailMessage, report: Report) -> bool:
    """The service reports it: so it was sent, and is not to be sent again."""
    rows = EmailMessage.objects.filter(pk=message.pk, state__in=_PERHAPS_SENT)
    fields = {"receipt": report.receipt[:300]} if report.receipt and not message.receipt else {}
    return bool(rows.update(state=EffectState.SENT, error="", sent_at=_time(report), **fields))


def _note(message: EmailMessage, report: Report) -> bool:
    delivery = _DELIVERIES.get(report.kind)
    if delivery is None:
        return False
    earlier = _ORDER[: _ORDER.index(delivery)]
    rows = EmailMessage.objects.filter(pk=message.pk, delivery__in=earlier)
    changed = rows.update(delivery=delivery, delivery_at=_time(report))
    if changed and report.detail:
        # an address may stand in it: of a mail that was erased, or whose content is gone, none is written down
        rows = EmailMessage.objects.filter(pk=message.pk, emptied_at__isnull=True).exclude(to="")
        rows.update(delivery_detail=report.detail[:500])
    return bool(changed)


def _time(report: Report) -> datetime:
    return min(report.at or timezone.now(), timezone.now())
