"""What `emails` adds to a lead's page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Lead
from leads.panels import LeadPanel, LeadStep, TimelineEntry, register_panel, register_step, register_timeline

from .models import EmailMessage
from .work import is_untouched

SHOWN = 100


def mails_of(lead: Lead) -> dict[str, Any]:
    """The lead's mails, newest first."""
    return {"mails": _mails(lead)[:20]}


def timeline_of(lead: Lead) -> Iterable[TimelineEntry]:
    """A line for each mail."""
    for mail in _mails(lead)[:SHOWN]:
        text = f"{mail.subject or mail.get_kind_display()} → {mail.to} · {_state_of(mail)}"
        yield TimelineEntry(at=mail.sent_at or mail.created_at, kind=_("e-mail"), text=text)


def _mails(lead: Lead) -> QuerySet[EmailMessage]:
    """All about the lead, but for what a member wanted to see of a campaign with the lead's name in it."""
    rows = EmailMessage.objects.filter(lead=lead).exclude(kind=EmailMessage.Kind.CAMPAIGN_TEST)
    return rows.order_by("-created_at")


def _state_of(mail: EmailMessage) -> str:
    """What became of the mail here, and what its service told of it since."""
    state = str(mail.get_state_display())
    return f"{state} · {mail.get_delivery_display()}" if mail.delivery else state


def register() -> None:
    """Register panel, timeline and next steps; called once, when the app is ready."""
    register_panel(LeadPanel(gettext_lazy("E-mails"), "emails/lead_panel.html", mails_of))
    register_timeline(timeline_of)
    follow_up = gettext_lazy("Follow-up email, unless someone gets in touch first")
    register_step(LeadStep("emails.send_follow_up", follow_up, is_untouched))
    for task, text in (
        ("emails.send_follow_up_email", gettext_lazy("The follow-up email is sent")),
        ("emails.send_submission_confirmation", gettext_lazy("A confirmation of what arrived is sent by email")),
        ("emails.send_consent_request", gettext_lazy("The lead is asked by email to confirm the consent")),
    ):
        register_step(LeadStep(task, text))
