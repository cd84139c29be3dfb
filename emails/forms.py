"""What a person writes of a campaign."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.forms import ask_for_organization
from accounts.models import Organization
from leads.models import LeadSource, LeadStatus
from leads.pages.choosing import BAND_LABELS

from .audience import Audience
from .inserting import FIELDS, unknown_fields
from .models import Campaign

#: A job waits no longer.
FARTHEST = timedelta(days=365)
_MOMENT = "%Y-%m-%dT%H:%M"


def _boxes(label: Any, choices: Any) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label, choices=choices, required=False, widget=forms.CheckboxSelectMultiple(attrs={"class": "boxes"})
    )


class CampaignForm(forms.ModelForm):  # type: ignore[type-arg]
    """A campaign's own fields, and whom it is for."""

    statuses = _boxes(gettext_lazy("Only leads with the status"), LeadStatus.choices)
    sources = _boxes(gettext_lazy("Only leads from the source"), LeadSource.choices)
    bands = _boxes(gettext_lazy("Only leads with a score of"), list(BAND_LABELS.items()))

    class Meta:
        model = Campaign
        fields = ("organization", "name", "subject", "text", "language")
        help_texts = {"name": gettext_lazy("Only you and your colleagues see it.")}
        widgets = {"text": forms.Textarea(attrs={"rows": 12})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        audience = Audience.of(self.instance.audience)
        for name in ("statuses", "sources", "bands"):
            self.fields[name].initial = list(getattr(audience, name))
        if "language" in self.fields:
            choices = [("", _("Each lead’s own")), *((code, _(name)) for code, name in settings.LANGUAGES)]
            self.fields["language"] = forms.ChoiceField(
                label=_("Language"),
                choices=choices,
                required=False,
                help_text=_("The language your text is written in. The unsubscribe link is in it too."),
            )

    def clean_subject(self) -> str:
        """With fields that there are."""
        return self._with_known_fields("subject")

    def clean_text(self) -> str:
        """With fields that there are."""
        return self._with_known_fields("text")

    def clean(self) -> dict[str, Any]:
        """Take the audience over."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        chosen = {name: cleaned.get(name, []) for name in ("statuses", "sources", "bands")}
        self.instance.audience = Audience(**chosen).stored()
        return cleaned

    def _with_known_fields(self, name: str) -> str:
        text: str = self.cleaned_data[name]
        if unknown := unknown_fields(text):
            fields = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise ValidationError(
                _("%(unknown)s cannot be inserted. These can: %(fields)s.")
                % {"unknown": ", ".join(dict.fromkeys(unknown)), "fields": fields}
            )
        return text


class MemberCampaignForm(CampaignForm):
    """The same for a member, who is asked for the organization where there is a choice."""

    def __init__(self, *args: Any, organizations: QuerySet[Organization] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (only := ask_for_organization(self, organizations)) is not None:
            self.instance.organization = only


class MomentForm(forms.Form):
    """When a campaign begins, by the person's clock."""

    at = forms.DateTimeField(
        label=gettext_lazy("Date and time"),
        input_formats=[_MOMENT, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput(format=_MOMENT, attrs={"type": "datetime-local"}),
    )

    def clean_at(self) -> datetime:
        """A time to come, within a year."""
        at: datetime = self.cleaned_data["at"]
        if at <= timezone.now():
            raise ValidationError(_("This time has passed. Choose a later one, or send the campaign now."))
        if at > timezone.now() + FARTHEST:
            raise ValidationError(_("Choose a time within a year."))
        return at
