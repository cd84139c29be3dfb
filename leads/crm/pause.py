"""A CRM that takes all the time there is gets one try a minute: it cannot keep the lead queue from everybody else."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from ..models import CrmWebhook

#: Between two tries while a CRM is too slow. A try takes `outgoing.TOTAL_TIME` at most: a sixth of one thread.
PAUSE = timedelta(seconds=60)


def seconds_to_wait(webhook: CrmWebhook) -> float:
    """How long a delivery must wait; 0: it may begin. While a CRM is too slow, one job a pause gets 0: it tries."""
    resume_at, now = webhook.resume_at, timezone.now()
    if resume_at is None:
        return 0.0
    if resume_at > now:
        return (resume_at - now).total_seconds()
    tries = CrmWebhook.objects.filter(pk=webhook.pk, resume_at=resume_at).update(resume_at=now + PAUSE)
    return 0.0 if tries else PAUSE.total_seconds()


def begin(webhook: CrmWebhook) -> None:
    """The CRM was too slow."""
    CrmWebhook.objects.filter(pk=webhook.pk).update(resume_at=timezone.now() + PAUSE)


def end(webhook: CrmWebhook) -> None:
    """The CRM has answered, whatever it said."""
    if webhook.resume_at is not None:
        CrmWebhook.objects.filter(pk=webhook.pk).update(resume_at=None)
