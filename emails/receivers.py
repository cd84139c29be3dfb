"""Which mails follow from which events."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.utils.translation import get_language

from accounts.events import (
    DigestDue,
    MemberInvited,
    MemberJoined,
    PasswordResetRequested,
    digest_due,
    member_invited,
    member_joined,
    password_reset_requested,
)
from accounts.models import Invitation, Membership, User
from jobs import receives
from leads.events import (
    ConsentAsked,
    LeadAssigned,
    LeadCreated,
    LeadReturned,
    SubmissionReceived,
    consent_asked,
    lead_assigned,
    lead_created,
    lead_returned,
    submission_received,
)
from leads.models import Lead, Submission
from leads.recipients import people_to_mail, without_declined

from . import services
from .models import EmailMessage
from .tasks import (
    send_account_email,
    send_consent_request,
    send_digest,
    send_follow_up,
    send_lead_notification,
    send_password_reset,
    send_submission_confirmation,
    send_welcome,
)


@receives(member_joined, starts=[send_welcome])
def welcome_member(sender: Any, event: MemberJoined, **kwargs: Any) -> None:
    """A new member is greeted, once."""
    member = Membership.objects.select_related("user", "organization").get(
        organization_id=event.organization_id, user_id=event.user_id
    )
    services.send_welcome_email(
        member.user.email,
        name=member.user.shown_name,
        organization=member.organization,
        recipient_id=member.user_id,
        language=member.language or member.organization.language,
        key=f"{event.organization_id}:{event.user_id}",
    )


@receives(member_invited, starts=[send_account_email])
def mail_invitation(sender: Any, event: MemberInvited, **kwargs: Any) -> None:
    """Who is invited gets the link."""
    rows = Invitation.objects.select_related("organization", "invited_by")
    services.send_invitation_email(rows.get(pk=event.invitation_id))


@receives(password_reset_requested, starts=[send_password_reset])
def mail_password_reset(sender: Any, event: PasswordResetRequested, **kwargs: Any) -> None:
    """Who forgot a password gets a link to choose another."""
    send_password_reset.enqueue(event.user_id, event.event_id, get_language() or "")


@receives(digest_due, starts=[send_digest])
def mail_digest(sender: Any, event: DigestDue, **kwargs: Any) -> None:
    """Who has not read what is new in the inbox gets a mail of it."""
    person = User.objects.get(pk=event.user_id)
    services.send_digest_email(person, event.lines, organization_id=event.organization_id, key=str(event.event_id))


@receives(lead_created, starts=[send_lead_notification])
def mail_new_lead(sender: Any, event: LeadCreated, **kwargs: Any) -> None:
    """Who is to look after a new lead gets a mail about it."""
    _mail_about(event, event.assigned_to, "created")


@receives(lead_returned, starts=[send_lead_notification])
def mail_returned_lead(sender: Any, event: LeadReturned, **kwargs: Any) -> None:
    """Who looks after a lead gets what it wrote now."""
    assignee_id = Lead.objects.values_list("assignee_id", flat=True).get(pk=event.lead_id)
    _mail_about(event, assignee_id, "returned", submission_id=event.submission_id)


@receives(lead_assigned, starts=[send_lead_notification])
def mail_assigned_lead(sender: Any, event: LeadAssigned, **kwargs: Any) -> None:
    """The new assignee gets a mail; when there is none any more, whoever is to find one does."""
    _mail_about(event, event.assignee_id, "assigned")


@receives(lead_created, starts=[send_follow_up])
def plan_follow_up(sender: Any, event: LeadCreated, **kwargs: Any) -> None:
    """In three days the lead is written to, unless somebody has done something with it."""
    services.schedule_follow_up(event.lead_id, event.organization_id)


@receives(submission_received, starts=[send_submission_confirmation])
def confirm_submission(sender: Any, event: SubmissionReceived, **kwargs: Any) -> None:
    """Who wrote to us learns that it arrived."""
    submission = Submission.objects.select_related("lead__organization").get(pk=event.submission_id)
    services.send_submission_confirmation_email(submission)


@receives(consent_asked, starts=[send_consent_request])
def ask_for_consent(sender: Any, event: ConsentAsked, **kwargs: Any) -> None:
    """What somebody stated for a lead counts once the lead has confirmed it."""
    lead = Lead.present.select_related("organization").get(pk=event.lead_id, organization_id=event.organization_id)
    services.send_consent_request_email(lead)


def _mail_about(
    event: LeadCreated | LeadReturned | LeadAssigned,
    assignee_id: UUID | None,
    reason: str,
    submission_id: UUID | None = None,
) -> None:
    lead = Lead.objects.get(pk=event.lead_id, organization_id=event.organization_id)
    people = people_to_mail(event.organization_id, assignee_id)
    own = any(person.user_id == assignee_id for person in people)
    kind = "INFO" if own else "WARNING" if reason == "assigned" else "URGENT"
    for person in without_declined(people, kind):
        services.send_lead_notification_email(
            person.email,
            lead=lead,
            recipient_id=person.user_id,
            language=person.language,
            reason=reason,
            submission_id=submission_id,
            key=f"{event.event_id}:{person.user_id}",
        )


@receiver(pre_delete, sender=User, dispatch_uid="emails.forget_address")
def forget_address(sender: Any, instance: User, **kwargs: Any) -> None:
    """Of a mail whose content is gone the address stays no longer than the person."""
    rows = EmailMessage.objects.filter(recipient=instance, lead__isnull=True, emptied_at__isnull=False)
    rows.update(to="")
