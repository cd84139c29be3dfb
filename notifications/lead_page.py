"""What `notifications` adds to a lead's page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Lead
from leads.panels import LeadAction, LeadStep, TimelineEntry, register_action, register_step, register_timeline
from leads.services import touch

from . import services
from .models import SmsMessage
from .sms import sms_provider

SHOWN = 100


def _sms_form(lead: Lead) -> type[forms.Form]:
    class SmsForm(forms.Form):
        text = forms.CharField(
            label=_("Text message to %(phone)s") % {"phone": lead.phone or "–"},
            max_length=1_000,
            widget=forms.Textarea(attrs={"rows": 4}),
        )

    return SmsForm


def _send_sms(lead: Lead, person: AbstractBaseUser, data: dict[str, Any]) -> str:
    try:
        services.send_sms_to_lead(lead, data["text"])
    except ValueError:
        raise ValidationError(_("The lead has no valid phone number.")) from None
    except PermissionError:
        raise ValidationError(_("The lead has unsubscribed.")) from None
    touch(lead.pk)
    if sms_provider().records_only:
        return _("No SMS service is set up: the text message is recorded here and reaches nobody.")
    return _("The text message is being sent.")


def timeline_of(lead: Lead) -> Iterable[TimelineEntry]:
    """A line for each text message."""
    for sms in SmsMessage.objects.filter(lead=lead).order_by("-created_at")[:SHOWN]:
        text = f"{sms.text} → {sms.to} · {sms.get_state_display()}"
        yield TimelineEntry(at=sms.sent_at or sms.created_at, kind="SMS", text=text)


def register() -> None:
    """Register action, timeline and next step; called once, when the app is ready."""
    action = LeadAction("sms", gettext_lazy("Send SMS"), "notifications.send_sms", _send_sms, _sms_form)
    register_action(action)
    register_timeline(timeline_of)
    register_step(LeadStep("notifications.send_sms", gettext_lazy("A text message is sent")))
