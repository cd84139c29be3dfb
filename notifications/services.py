"""What other code may tell users and leads. Each function states the effect and enqueues its job in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, time
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.services import choose_digest, choose_time_zone
from jobs import JobHandle
from leads.models import Lead
from leads.normalise import phone_number

from . import tasks
from .models import Channel, ContactPreference, Notification, SmsMessage
from .wishes import wishes_of


def notify(
    user_id: UUID,
    title: str,
    *,
    message: str = "",
    action_url: str = "",
    kind: str = Notification.Kind.INFO,
    event_id: UUID | None = None,
    lead_id: UUID | None = None,
) -> JobHandle:
    """Have a line put into a user's inbox; a repetition for the same event changes nothing."""
    prepared = tasks.create_notification.using(about=_about(lead_id))
    return prepared.enqueue(user_id, title, message, action_url, kind, event_id)


def push_notification(notification_id: UUID, *, at: datetime | None = None) -> JobHandle:
    """Have a notification pushed to its user's devices; `at`: not before then."""
    return tasks.send_push_notification.using(at=at).enqueue(notification_id)


def send_sms_to_lead(lead: Lead, message: str, *, key: str = "") -> JobHandle | None:
    """Have a text message sent to a lead; None if this `key` was used before.

    Raises `ValueError` without a phone, `PermissionError` if the lead has unsubscribed.
    """
    with transaction.atomic():
        # locked and read anew: a lead that is erased at this moment has no number any more
        present = Lead.present.select_for_update().filter(pk=lead.pk).first()
        to = phone_number(present.phone if present else "")
        if present is not None and present.unsubscribed_at is not None:
            raise PermissionError("the lead has unsubscribed")
        sms, created = SmsMessage.objects.get_or_create(
            key=key or str(uuid.uuid4()),
            defaults={"to": to, "text": message, "lead": lead, "organization_id": lead.organization_id},
        )
        return tasks.send_sms.using(about=_about(lead.id)).enqueue(sms.id) if created else None


def send_sms_of_notification(notification: Notification, to: str, *, at: datetime | None = None) -> JobHandle | None:
    """Have a notification sent as a text message, once; `at`: not before then."""
    with transaction.atomic():
        sms, created = SmsMessage.objects.get_or_create(
            key=f"notification:{notification.id}",
            defaults={
                "to": to,
                "text": notification.title,
                "notification": notification,
                "organization_id": notification.organization_id,
            },
        )
        return tasks.send_sms.using(at=at).enqueue(sms.id) if created else None


def mark_read(user_id: UUID, notification_id: UUID | None = None) -> int:
    """Mark one notification of the user read, or all; returns how many were unread."""
    unread = Notification.objects.filter(user_id=user_id, read_at__isnull=True)
    if notification_id is not None:
        unread = unread.filter(pk=notification_id)
    return unread.update(read_at=timezone.now())


def save_wishes(
    user_id: UUID,
    kinds: Mapping[Channel, Collection[str]],
    *,
    phone: str = "",
    quiet: tuple[time, time] | None = None,
    time_zone: str = "",
    digest: bool = True,
) -> ContactPreference:
    """Reach the person from now on as they wish: the kinds of news on each channel, and in which hours nowhere.

    `phone` is a number as E.164 writes it; `time_zone` is the clock that the quiet hours go by. Raises
    `ValidationError` for an unknown zone.
    """
    with transaction.atomic():
        wishes = ContactPreference.objects.select_for_update().filter(pk=user_id).first() or wishes_of(user_id)
        for channel, wanted in kinds.items():
            wishes.choose(channel, wanted)
        wishes.phone = phone
        wishes.quiet_from, wishes.quiet_until = quiet or (None, None)
        wishes.save()
        choose_time_zone(user_id, time_zone)
        choose_digest(user_id, digest)
    return wishes


def _about(lead_id: UUID | None) -> tuple[str, str] | None:
    return None if lead_id is None else (Lead._meta.label_lower, str(lead_id))
