"""What users and leads were told by jobs: notifications, pushes, text messages; for the pages of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _

from jobs import CausedJob, JobEffect

from .models import Notification, PushMessage, SmsMessage
from .tasks import create_notification, send_push_notification, send_sms

MOST = 200


def find(jobs: Sequence[CausedJob]) -> Iterator[JobEffect]:
    """What these jobs, or others of their events, told anybody."""
    makers = {
        (str(job.event_id), str(job.arguments.get("user_id"))): job.id for job in _of(jobs, create_notification.name)
    }
    events = {job.event_id for job in jobs if job.event_id is not None}
    for told in Notification.objects.filter(event_id__in=events)[:MOST]:
        state = _("read") if told.read_at else _("not read yet")
        yield JobEffect(told, state, told.created_at, makers.get((str(told.event_id), str(told.user_id))))
    pushes = {str(job.arguments.get("notification_id")): job.id for job in _of(jobs, send_push_notification.name)}
    for push in PushMessage.objects.filter(notification_id__in=list(pushes))[:MOST]:
        at, job = push.sent_at or push.created_at, pushes[str(push.notification_id)]
        yield JobEffect(push, str(push.get_state_display()), at, job)
    texts = {str(job.arguments.get("sms_id")): job.id for job in _of(jobs, send_sms.name)}
    for sms in SmsMessage.objects.filter(pk__in=list(texts)):
        yield JobEffect(sms, str(sms.get_state_display()), sms.sent_at or sms.created_at, texts[str(sms.pk)])


def _of(jobs: Sequence[CausedJob], task: str) -> Iterator[CausedJob]:
    return (job for job in jobs if job.task == task)
