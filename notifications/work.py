"""What the notification queue's jobs do. A row that is gone is a quiet end, a second run sends nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from accounts.members import is_active_member
from accounts.models import Membership
from jobs import PermanentError, RetryLater, provider_call
from leads.models import EffectState, Lead
from leads.models.effect import NO_MEMBER, NOT_WANTED, UNCLEAR, UNSUBSCRIBED

from .events import NotificationCreated, notification_created
from .models import Channel, ContactPreference, Notification, PushDevice, PushMessage, SmsMessage
from .push import PUSH, DeviceGone, PushProvider, push_provider
from .sms import SMS, SmsProvider, sms_provider
from .wishes import quiet_until, wishes_of

Outcome = dict[str, Any]
#: Why a job goes back until later.
QUIET = "the person's quiet hours"


def notify(
    user_id: UUID, title: str, message: str, action_url: str, notification_type: str, event_id: UUID | None
) -> Outcome:
    """Put a line into the user's inbox and announce it; once for each event and user."""
    if notification_type not in Notification.Kind.values:
        raise ValueError(
            f"notification_type={notification_type!r}: expected one of {', '.join(Notification.Kind.values)}"
        )
    if not get_user_model()._default_manager.filter(pk=user_id, is_active=True).exists():
        return {"outcome": "the user is gone"}
    fields = {
        "title": title[:200],
        "message": message,
        "action_url": own_page(action_url),
        "kind": notification_type,
        "organization_id": _only_organization(user_id),
    }
    with transaction.atomic():
        if event_id is None:
            notification, created = Notification.objects.create(user_id=user_id, **fields), True
        else:
            notification, created = Notification.objects.get_or_create(
                event_id=event_id, user_id=user_id, defaults=fields
            )
        if not created:
            return {"outcome": "notified already", "notification": str(notification.id)}
        notification_created.announce(
            NotificationCreated(
                organization_id=notification.organization_id,
                notification_id=notification.id,
                user_id=user_id,
                kind=notification.kind,
            )
        )
    return {"outcome": "notified", "notification": str(notification.id)}


def push(notification_id: UUID, job_id: UUID) -> Outcome:
    """Send a notification to each of its user's devices."""
    notification = Notification.objects.filter(pk=notification_id).first()
    if notification is None:
        return {"outcome": "the notification is gone"}
    wishes = wishes_of(notification.user_id)
    if refused := _refused(notification, wishes, Channel.PUSH):
        return {"outcome": refused}
    _wait_for_end_of_quiet(wishes)
    counted = {"sent": 0, "recorded": 0, "gone": 0}
    problem: Exception | None = None
    for device in PushDevice.objects.filter(user_id=notification.user_id).order_by("created_at"):
        row, _created = PushMessage.objects.get_or_create(
            notification=notification, device=device, defaults={"organization_id": notification.organization_id}
        )
        try:
            if pushed := _push_one(row, notification, device, job_id):
                counted[pushed] += 1
        except DeviceGone:
            device.delete()
            counted["gone"] += 1
        except Exception as error:
            # the other devices must not wait for this one
            problem = error
    if problem is not None:
        raise problem
    return {"outcome": "pushed", **counted}


def text(sms_id: UUID, job_id: UUID) -> Outcome:
    """Send a text message."""
    sms = SmsMessage.objects.select_related("lead", "notification").filter(pk=sms_id).first()
    if sms is None:
        return {"outcome": "the message's row is gone"}
    if sms.lead is not None and sms.lead.erased_at is not None:
        return {"outcome": "the lead was erased"}
    refused, noted = "", {}
    if sms.notification is not None:
        wishes = wishes_of(sms.notification.user_id)
        refused = _refused(sms.notification, wishes, Channel.SMS)
        if not refused:
            _wait_for_end_of_quiet(wishes)
            noted["to"] = wishes.phone  # the number may be another one by now
    provider = sms_provider()
    done = EffectState.RECORDED if provider.records_only else EffectState.SENT
    if not sms.claim(job_id, repeatable=provider.repeatable, **noted):
        if sms.state == EffectState.UNCLEAR:
            raise PermanentError(UNCLEAR)
        return {"outcome": f"not sent: {sms.state}"}
    if refused:
        sms.settle(EffectState.SKIPPED, error=refused)
        return {"outcome": refused}
    # read after the claim, at the last moment
    if sms.lead_id and Lead.objects.filter(pk=sms.lead_id, unsubscribed_at__isnull=False).exists():
        sms.settle(EffectState.SKIPPED, error=UNSUBSCRIBED)
        return {"outcome": "the lead has unsubscribed"}
    try:
        with _counted(SMS, provider):
            receipt = provider.send(sms.id, sms.to, sms.text)
    except Exception as error:
        sms.settle(EffectState.FAILED, error=f"{type(error).__name__}: {error}")
        raise
    sms.settle(done, receipt=receipt[:200])
    return {"outcome": done.value}


def own_page(address: str) -> str:
    """The address if it is a page of this site, else nothing: a notification must not lead elsewhere."""
    parts = urlsplit(address.replace("\\", "/"))
    own = not parts.scheme and not parts.netloc and parts.path.startswith("/") and not parts.path.startswith("//")
    return address[:500] if own else ""


def _refused(notification: Notification, wishes: ContactPreference, channel: Channel) -> str:
    """Why the person does not get it on this channel any more, whatever held when it was decided; else empty."""
    organization_id = notification.organization_id
    if not wishes.user.is_active or (
        organization_id is not None and not is_active_member(notification.user_id, organization_id)
    ):
        return NO_MEMBER
    reachable = channel != Channel.SMS or wishes.phone
    return "" if reachable and wishes.wants(channel, notification.kind) else NOT_WANTED


def _wait_for_end_of_quiet(wishes: ContactPreference) -> None:
    """A job that starts late, or a second time, may come into the person's quiet hours: it waits as a new one does."""
    now = timezone.now()
    if until := quiet_until(wishes, now):
        raise RetryLater((until - now).total_seconds(), reason=QUIET)


def _push_one(row: PushMessage, notification: Notification, device: PushDevice, job_id: UUID) -> str:
    """What became of it now; empty if this job has nothing to do with it."""
    provider = push_provider()
    done = EffectState.RECORDED if provider.records_only else EffectState.SENT
    if not row.claim(job_id, repeatable=provider.repeatable):
        if row.state == EffectState.UNCLEAR:
            raise PermanentError(UNCLEAR)
        return ""
    try:
        with _counted(PUSH, provider):
            receipt = provider.send(
                row.id, device.address, notification.title, notification.message, notification.action_url
            )
    except Exception as error:
        row.settle(EffectState.FAILED, error=f"{type(error).__name__}: {error}")
        raise
    row.settle(done, receipt=receipt[:200])
    return done.value


def _counted(name: str, provider: PushProvider | SmsProvider) -> AbstractContextManager[None]:
    """Counts a call, if it leaves the house."""
    return nullcontext() if provider.records_only else provider_call(name, refused=(PermanentError, DeviceGone))


def _only_organization(user_id: UUID) -> UUID | None:
    ids = list(Membership.objects.filter(user_id=user_id).values_list("organization_id", flat=True)[:2])
    return ids[0] if len(ids) == 1 else None
