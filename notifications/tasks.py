"""The jobs that `notifications` runs; what they do stands in `notifications.work`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from config.queues import notification
from jobs import Breaker, Cron, current_job

from . import digests, work
from .push import PUSH
from .sms import SMS

#: What these services say of one message, device or number (`PermanentError`, `DeviceGone`) is an answer.
PUSH_SERVICE, SMS_SERVICE = Breaker(PUSH), Breaker(SMS)


@notification.task()
def create_notification(
    user_id: UUID,
    title: str,
    message: str = "",
    action_url: str = "",
    notification_type: str = "INFO",
    event_id: UUID | None = None,
) -> dict[str, Any]:
    """Put a line into a user's inbox."""
    return work.notify(user_id, title, message, action_url, notification_type, event_id)


@notification.task(limits=[PUSH_SERVICE])
def send_push_notification(notification_id: UUID) -> dict[str, Any]:
    """Push a notification to its user's devices."""
    return work.push(notification_id, current_job().id)


@notification.task(limits=[SMS_SERVICE])
def send_sms(sms_id: UUID) -> dict[str, Any]:
    """Send a text message."""
    return work.text(sms_id, current_job().id)


@notification.task(schedule=Cron("0 7 * * *", overlap="skip"))
def plan_digests() -> dict[str, Any]:
    """Have people mailed what they have not read."""
    return digests.plan(current_job().iterate(digests.people_with_news()))
