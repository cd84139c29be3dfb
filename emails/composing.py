"""Turns a mail's row into a subject, a text and HTML, in the recipient's language."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from accounts.models import Organization
from leads.content import amount, message_of, news_of
from leads.models import Lead, Submission
from leads.recipients import reply_address

from .account_links import OF_ACCOUNTS, link_of
from .confirmation import asked_in, purposes_of, token_of
from .digests import stop_path
from .inserting import filled
from .link_tokens import id_in, signed_id
from .models import Campaign, EmailMessage

#: Mails that a lead did not ask for: they can be stopped with one click (RFC 8058).
UNASKED = frozenset({EmailMessage.Kind.FOLLOW_UP, EmailMessage.Kind.CAMPAIGN})
#: Mails that go to a lead; the others go to members.
TO_LEADS = UNASKED | {EmailMessage.Kind.SUBMISSION_CONFIRMATION, EmailMessage.Kind.CONSENT_REQUEST}
#: Stands in a test of a campaign for what proves whose mail it is.
NOBODY = "test"
_SALT = "emails.unsubscribe"


@dataclass(frozen=True)
class Composed:
    """A mail ready to be sent."""

    subject: str
    text: str
    html: str
    headers: dict[str, str]
    #: "Name <address>"; empty stands for DEFAULT_FROM_EMAIL
    sender: str = ""
    #: where answers go; empty stands for the sender
    reply_to: str = ""
    #: the part of a link that only the mail's reader may know: it is not kept with the mail
    secret: str = ""

    def kept(self, text: str) -> str:
        """The text as it is kept with the mail."""
        return text.replace(self.secret, "…") if self.secret else text


def compose(message: EmailMessage) -> Composed:
    """Render the mail's templates, `emails/<kind>/`."""
    headers = {}
    sender = reply_to = secret = ""
    context: dict[str, Any] = {
        "message": message,
        "lead": message.lead,
        "params": message.params,
        "organization_name": message.organization.name if message.organization else "",
        "site_url": site_url("/"),
        **message.params,
    }
    if message.lead is not None and (campaign := _campaign_of(message)) is not None:
        context |= {
            "campaign_subject": filled(campaign.subject, message.lead),
            "campaign_text": filled(campaign.text, message.lead),
        }
    if message.lead is not None:
        context["lead_url"] = site_url(message.lead.get_absolute_url())
        if message.kind in TO_LEADS or message.kind == EmailMessage.Kind.CAMPAIGN_TEST:
            sender, reply_to = sender_of(message.lead.organization), reply_address(message.lead)
            context["replies_are_read"] = bool(reply_to)
    if stop := _stop_path(message):
        context["unsubscribe_url"] = site_url(stop)
        if message.kind != EmailMessage.Kind.CAMPAIGN_TEST:
            headers["List-Unsubscribe"] = f"<{site_url(stop)}>"
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    with translation.override(message.language):
        context["language"] = message.language
        if message.kind == EmailMessage.Kind.LEAD_NOTIFICATION and message.lead is not None:
            context |= _about(message.lead, message.params.get("submission"))
        if message.kind == EmailMessage.Kind.CONSENT_REQUEST and message.lead is not None:
            context["purposes"] = purposes_of(message.lead, asked_in(message))
            secret = token_of(message)
            context["confirm_url"] = site_url(reverse("emails:confirm", args=[secret]))
        if message.kind in OF_ACCOUNTS:
            path, secret = link_of(message)
            context["link_url"] = site_url(path)
        subject = render_to_string(f"emails/{message.kind}/subject.txt", context)
        text = render_to_string(f"emails/{message.kind}/body.txt", context)
        html = render_to_string(f"emails/{message.kind}/body.html", context)
    # a line break in a name must not become a header
    return Composed(" ".join(subject.split())[:300], text.strip() + "\n", html, headers, sender, reply_to, secret)


def sender_of(organization: Organization) -> str:
    """Who a lead sees as the sender: the organisation by its name, with its own address or the site's."""
    name = " ".join(organization.name.replace("\\", " ").replace('"', " ").split())
    address = organization.mail_from or parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    return f'"{name}" <{address}>' if name else address


def _campaign_of(message: EmailMessage) -> Campaign | None:
    if message.kind == EmailMessage.Kind.CAMPAIGN_TEST:
        return Campaign.objects.get(pk=message.params["campaign"])
    return message.campaign


def _stop_path(message: EmailMessage) -> str:
    """The path of the page that stops such mails with one click; empty if there is none."""
    if message.kind == EmailMessage.Kind.CAMPAIGN_TEST:
        return reverse("emails:unsubscribe", args=[NOBODY])  # whose link it would be must not be stopped by who tests
    if message.kind == EmailMessage.Kind.DIGEST and message.recipient_id is not None:
        return stop_path(message.recipient_id)
    if message.kind in UNASKED and message.lead is not None:
        return reverse("emails:unsubscribe", args=[unsubscribe_token(message.lead.id)])
    return ""


def _about(lead: Lead, submission_id: str | None) -> dict[str, Any]:
    """What a member reads of the lead; of one that returned, what it wrote this time."""
    value = "" if lead.value is None else amount(lead.value, lead.currency)
    submission = Submission.objects.filter(pk=submission_id, lead=lead).first() if submission_id else None
    if submission is None:
        return {"value": value, "text": lead.message, "news": []}
    return {"value": value, "text": message_of(submission), "news": news_of(submission, lead)}


def site_url(path: str) -> str:
    """The whole address of a page of this site."""
    return urljoin(settings.SITE_URL, path)


def unsubscribe_token(lead_id: UUID) -> str:
    """What proves, in a link, that its holder got a mail for this lead."""
    return signed_id(lead_id, _SALT)


def lead_of_token(token: str) -> UUID | None:
    """The lead that a token was made for; None if it was made by somebody else."""
    return id_in(token, _SALT)
