"""How a person wants to be reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Organization, User
from accounts.time_zones import time_zones
from leads.validation import valid_phone

from .models import Channel, ContactPreference, Notification
from .services import save_wishes

#: What each kind of news tells of.
ABOUT = {
    Notification.Kind.INFO: (
        gettext_lazy("My leads"),
        gettext_lazy("A lead is assigned to you, writes again, or has waited for a long time."),
    ),
    Notification.Kind.WARNING: (
        gettext_lazy("Leads left behind"),
        gettext_lazy("A lead is no longer assigned, or its assignee has left."),
    ),
    Notification.Kind.URGENT: (
        gettext_lazy("Leads nobody looks after"),
        gettext_lazy("A new lead has no assignee, or an unassigned one writes again."),
    ),
}


class PreferencesForm(forms.Form):
    """Channels by kind, quiet hours, the clock they go by, and the daily mail."""

    phone = forms.CharField(
        label=gettext_lazy("Phone for text messages"),
        max_length=32,
        required=False,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "placeholder": "+5511912345678"}),
    )
    quiet_from = forms.TimeField(
        label=gettext_lazy("From"), required=False, widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    )
    quiet_until = forms.TimeField(
        label=gettext_lazy("Until"), required=False, widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    )
    time_zone = forms.ChoiceField(label=gettext_lazy("Time zone"), required=False)
    digest = forms.BooleanField(label=gettext_lazy("Email me once a day if something new is unread"), required=False)

    def __init__(self, person: User, wishes: ContactPreference, data: Any = None) -> None:
        self._person = person
        initial: dict[str, Any] = {
            "phone": wishes.phone,
            "quiet_from": wishes.quiet_from,
            "quiet_until": wishes.quiet_until,
            "time_zone": person.time_zone,
            "digest": person.wants_digest,
        }
        for channel in Channel:
            initial[channel.value] = [kind.value for kind in Notification.Kind if wishes.wants(channel, kind)]
        super().__init__(data, initial=initial)
        for channel in Channel:
            self.fields[channel.value] = forms.MultipleChoiceField(
                label=channel.label, choices=Notification.Kind.choices, required=False
            )
        zones: Any = self.fields["time_zone"]
        zones.choices = [("", _("The site’s")), *((name, name.replace("_", " ")) for name in _zones(person.time_zone))]

    def rows(self) -> Iterator[dict[str, Any]]:
        """A line for each kind of news, with a box for each channel."""
        for kind, (title, about) in ABOUT.items():
            boxes = [
                {
                    "channel": channel,
                    "id": f"{channel.value}_{kind.value}",
                    "kind": kind.value,
                    "on": kind.value in (self[channel.value].value() or []),
                }
                for channel in Channel
            ]
            yield {"title": title, "about": about, "boxes": boxes}

    def clean_phone(self) -> str:
        """The number as E.164 writes it; without a country code, one of the person's organization's country."""
        first = Organization.objects.filter(memberships__user=self._person).order_by("memberships__created_at").first()
        return valid_phone(self.cleaned_data["phone"], first)

    def clean(self) -> dict[str, Any]:
        """What belongs together is there together."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        begin, end = cleaned.get("quiet_from"), cleaned.get("quiet_until")
        if not {"quiet_from", "quiet_until"} & set(self.errors):
            if (begin is None) != (end is None):
                missing = "quiet_from" if begin is None else "quiet_until"
                self.add_error(missing, _("Quiet hours need both times; leave both empty for none."))
            elif begin is not None and begin == end:
                self.add_error("quiet_until", _("Quiet hours cannot begin and end at the same time."))
        if cleaned.get(Channel.SMS.value) and "phone" in cleaned and not cleaned["phone"]:
            self.add_error("phone", _("Text messages need a phone number."))
        return cleaned

    def save(self) -> None:
        """Through the service."""
        data = self.cleaned_data
        quiet = (data["quiet_from"], data["quiet_until"]) if data["quiet_from"] is not None else None
        save_wishes(
            self._person.pk,
            {channel: data[channel.value] for channel in Channel},
            phone=data["phone"],
            quiet=quiet,
            time_zone=data["time_zone"],
            digest=data["digest"],
        )


def _zones(chosen: str) -> list[str]:
    """The zones that are named after a place, and the one that was chosen elsewhere (the admin takes every zone)."""
    places = {name for name in time_zones() if "/" in name and not name.startswith("Etc/")}
    return ["UTC", *sorted((places | {chosen} & time_zones()) - {"UTC"})]
