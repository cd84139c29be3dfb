"""Editing a lead: address and phone are written as everywhere else."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.forms import ask_for_organization
from accounts.models import Organization

from . import normalise
from .models import Lead
from .validation import valid_email, valid_phone


class LeadFieldsForm(forms.ModelForm):  # type: ignore[type-arg]
    """A lead's own fields."""

    def clean_email(self) -> str:
        """A valid address, or none."""
        return valid_email(self.cleaned_data["email"])

    def clean_phone(self) -> str:
        """The number as E.164 writes it."""
        return valid_phone(self.cleaned_data["phone"], self._organization())

    def clean(self) -> dict[str, Any]:
        """One lead an address and organisation."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        organization = self._organization()
        if cleaned.get("email") and organization:
            same = Lead.objects.filter(organization=organization, email_key=normalise.email_key(cleaned["email"]))
            if same.exclude(pk=self.instance.pk).exists():
                self.add_error("email", _("The organization has a lead with this address."))
        return cleaned

    def _organization(self) -> Organization | None:
        """The one that was chosen, or the lead's own; a new lead has none yet."""
        chosen: Organization | None = self.cleaned_data.get("organization")
        return chosen or getattr(self.instance, "organization", None)


class MemberLeadForm(LeadFieldsForm):
    """What a member writes of a lead; of a new one also whose it is, where there is a choice."""

    class Meta:
        model = Lead
        fields = (
            *("organization", "name", "email", "phone", "company", "job_title", "source", "value", "currency"),
            "message",
        )
        widgets = {"message": forms.Textarea(attrs={"rows": 4})}

    def __init__(self, *args: Any, organizations: QuerySet[Organization] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            del self.fields["message"]  # the lead's own words
        if (only := ask_for_organization(self, organizations)) is not None:
            self.instance.organization = only
