"""The jobs that `emails` runs; what they do stands in `emails.work` and `emails.campaigns`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from config.queues import email, lead, notification
from jobs import Breaker, Cron, JobHandle, current_job

from . import campaigns, retention, transport, work
from .mail_providers import MailProvider
from .models import Campaign, EmailMessage

#: Behind all mail that somebody waits for.
CAMPAIGN_PRIORITY = 9
#: Before those, behind the rest.
DIGEST_PRIORITY = 8
#: Before all other mail: somebody sits there and waits.
ACCOUNT_PRIORITY = 1
_provider: MailProvider | None = getattr(settings, "MAIL_PROVIDER", None)
#: While the mail service is away no mail is tried. What it says of one mail, or of one address, is an answer.
MAIL_SERVICE = Breaker(
    _provider.name if _provider else transport.MAIL,
    on=(transport.Away, transport.Unclear, work.MailUnclear),
)


@email.task(limits=[MAIL_SERVICE])
def send_welcome(message_id: UUID) -> dict[str, Any]:
    """Greet a new member."""
    return _deliver(message_id)


@email.task(limits=[MAIL_SERVICE])
def send_lead_notification(message_id: UUID) -> dict[str, Any]:
    """Tell a member about a lead."""
    return _deliver(message_id)


@email.task(limits=[MAIL_SERVICE])
def send_submission_confirmation(message_id: UUID) -> dict[str, Any]:
    """Tell a lead that its message arrived."""
    return _deliver(message_id)


@email.task(limits=[MAIL_SERVICE])
def send_follow_up_email(message_id: UUID) -> dict[str, Any]:
    """Write to a lead that nobody has touched, as was decided."""
    return _deliver(message_id)


@email.task(limits=[MAIL_SERVICE])
def send_campaign_email(message_id: UUID) -> dict[str, Any]:
    """Send one lead its mail of a campaign."""
    return _deliver(message_id)


@email.task(limits=[MAIL_SERVICE])
def send_consent_request(message_id: UUID) -> dict[str, Any]:
    """Ask a lead whether it agrees to be written to."""
    return _deliver(message_id)


@email.task(priority=DIGEST_PRIORITY, limits=[MAIL_SERVICE])
def send_digest(message_id: UUID) -> dict[str, Any]:
    """Tell a person what they have not read."""
    return _deliver(message_id)


@email.task(priority=ACCOUNT_PRIORITY, limits=[MAIL_SERVICE])
def send_account_email(message_id: UUID) -> dict[str, Any]:
    """Send an invitation, or the link for a new password."""
    return _deliver(message_id)


@notification.task(priority=ACCOUNT_PRIORITY)
def send_password_reset(user_id: UUID, request_id: UUID, language: str) -> dict[str, Any]:
    """Have the link for a new password mailed, if there is such a user."""
    return work.password_reset(user_id, request_id, language, start=start)


@email.task()
def send_bulk_email(campaign_id: UUID, after: UUID | None = None, run: int = 0) -> dict[str, Any]:
    """Plan a campaign's mails to the next of its leads; behind the last, see that every mail ends."""
    return campaigns.plan(campaign_id, after, run, start_mails=_start_mails, start_next=start_part)


@lead.task(group="organization_id")
def send_follow_up(lead_id: UUID, organization_id: UUID, step: int = 1) -> dict[str, Any]:
    """Decide whether a lead is written to, and have it done."""
    return work.follow_up(lead_id, organization_id, step, start=start)


@lead.task(schedule=Cron("0 4 * * *", overlap="skip"))
def empty_mails() -> dict[str, Any]:
    """Remove the content of mails that are older than the setting says."""
    return retention.empty_mails(current_job().iterate(range(retention.MOST_PIECES)))


_OF_KIND = {
    EmailMessage.Kind.WELCOME: send_welcome,
    EmailMessage.Kind.LEAD_NOTIFICATION: send_lead_notification,
    EmailMessage.Kind.SUBMISSION_CONFIRMATION: send_submission_confirmation,
    EmailMessage.Kind.FOLLOW_UP: send_follow_up_email,
    EmailMessage.Kind.CAMPAIGN: send_campaign_email,
    EmailMessage.Kind.CAMPAIGN_TEST: send_campaign_email,
    EmailMessage.Kind.CONSENT_REQUEST: send_consent_request,
    EmailMessage.Kind.INVITATION: send_account_email,
    EmailMessage.Kind.PASSWORD_RESET: send_account_email,
    EmailMessage.Kind.DIGEST: send_digest,
}


def start(message: EmailMessage) -> JobHandle:
    """Enqueue the job of a mail, of whatever kind; inside the transaction that states the mail."""
    task: Any = _OF_KIND[EmailMessage.Kind(message.kind)]
    if message.campaign_id is not None:
        task = _of_campaign(message.campaign_id)
    elif message.lead_id is not None:
        task = task.using(about=("leads.lead", str(message.lead_id)))
    handle: JobHandle = task.enqueue(message.id)
    EmailMessage.objects.filter(pk=message.pk).update(job_id=handle.id)
    return handle


def start_part(campaign: Campaign, delay: float = 0.0, *, at: datetime | None = None) -> JobHandle:
    """Enqueue the campaign's next part; inside the transaction that moves the campaign."""
    key = f"campaign:{campaign.pk}:{campaign.position or 'start'}:{campaign.run}" + (":end" if delay else "")
    when: dict[str, Any] = {"delay": delay} if at is None else {"at": at}
    about = (Campaign._meta.label_lower, str(campaign.pk))
    prepared = send_bulk_email.using(priority=CAMPAIGN_PRIORITY, key=key, about=about, **when)
    # an earlier version's worker, which knows no runs, can still take the first one
    return prepared.enqueue(campaign.pk, campaign.position, *([campaign.run] if campaign.run else []))


def _start_mails(campaign: Campaign, messages: Sequence[EmailMessage]) -> None:
    handles = _of_campaign(campaign.pk).enqueue_many([(message.id,) for message in messages])
    for message, handle in zip(messages, handles, strict=True):
        message.job_id = handle.id
    EmailMessage.objects.bulk_update(messages, ["job_id"])


def _of_campaign(campaign_id: UUID) -> Any:
    # about the campaign, so that all its mails are enqueued by one call, and those without a job are found
    about = (Campaign._meta.label_lower, str(campaign_id))
    return send_campaign_email.using(priority=CAMPAIGN_PRIORITY, about=about)


def _deliver(message_id: UUID) -> dict[str, Any]:
    job = current_job()
    return work.deliver(message_id, job.id, last_attempt=job.attempt >= email.policy.attempts)
