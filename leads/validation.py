"""What a submission must look like, for the form and the API alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Organization
from accounts.time_zones import time_zones

from . import normalise
from .consent import FORM_WORDINGS
from .models import ConsentPurpose, LeadSource
from .readable import is_storable, readable

#: An answer names so many wrong fields, and so much of a name that is none.
MOST_ERRORS, NAME_SHOWN = 50, 100
UTM_FIELDS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")

#: The boxes that say what somebody agrees to.
CONSENT_FIELDS = {ConsentPurpose.REQUEST: "consent", ConsentPurpose.MARKETING: "marketing_consent"}


class LeadForm(forms.Form):
    """The fields that a submission may hold. `cleaned_data` has the values as `Lead` keeps them."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=200, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    email = forms.CharField(
        label=gettext_lazy("E-mail"),
        max_length=254,
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    phone = forms.CharField(
        label=gettext_lazy("Phone"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel"}),
    )
    company = forms.CharField(
        label=gettext_lazy("Company"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    job_title = forms.CharField(
        label=gettext_lazy("Job title"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "organization-title"}),
    )
    message = forms.CharField(
        label=gettext_lazy("Message"), max_length=5_000, required=False, widget=forms.Textarea(attrs={"rows": 5})
    )
    consent = forms.BooleanField(label=FORM_WORDINGS[ConsentPurpose.REQUEST], required=False)
    marketing_consent = forms.BooleanField(label=FORM_WORDINGS[ConsentPurpose.MARKETING], required=False)
    utm_source = forms.CharField(max_length=200, required=False, widget=forms.HiddenInput)
    utm_medium = forms.CharField(max_length=200, required=False, widget=forms.HiddenInput)
    utm_campaign = forms.CharField(max_length=200, required=False, widget=forms.HiddenInput)
    utm_term = forms.CharField(max_length=200, required=False, widget=forms.HiddenInput)
    utm_content = forms.CharField(max_length=200, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.organization = organization

    def clean_email(self) -> str:
        """The address as it is written to."""
        return valid_email(self.cleaned_data["email"])

    def clean_phone(self) -> str:
        """The number as E.164 writes it."""
        return valid_phone(self.cleaned_data["phone"], self.organization)

    def clean(self) -> dict[str, Any]:
        """Someone must be reachable."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        reachable = cleaned.get("email") or cleaned.get("phone") or {"email", "phone"} & set(self.errors)
        if not reachable:
            self.add_error("email", ValidationError(_("Enter an e-mail address or a phone number."), code="required"))
        return cleaned


class ApiLeadForm(LeadForm):
    """What the API takes beyond the web form."""

    source = forms.ChoiceField(choices=LeadSource.choices, required=False)
    value = forms.DecimalField(max_digits=14, decimal_places=2, min_value=Decimal(0), required=False)
    consent_wording = forms.CharField(max_length=2_000, required=False)
    currency = forms.RegexField(r"^[A-Z]{3}\Z", required=False)
    locale = forms.CharField(max_length=20, required=False)
    time_zone = forms.CharField(max_length=64, required=False)

    def clean_value(self) -> Decimal | None:
        """With two decimals, as it is stored: 0E+1000000000 is a zero that no database takes."""
        value: Decimal | None = self.cleaned_data["value"]
        return None if value is None else value.quantize(Decimal("0.01"))

    def clean_time_zone(self) -> str:
        """A name of the IANA's list."""
        value: str = self.cleaned_data["time_zone"]
        if value and value not in time_zones():
            raise ValidationError(_("Use a time zone from the IANA list, like America/Sao_Paulo."), code="time_zone")
        return value


def valid_email(value: str) -> str:
    """The address as it is written to, empty for none; raises `ValidationError`."""
    try:
        return normalise.email_address(value) if value else ""
    except ValueError:
        raise ValidationError(_("Enter a valid e-mail address."), code="email") from None


def valid_phone(value: str, organization: Organization | None) -> str:
    """The number as E.164 writes it, empty for none; without a country code, one of the organization's country.

    Raises `ValidationError`.
    """
    try:
        return normalise.phone_number(value, organization.country if organization else "") if value else ""
    except ValueError:
        raise ValidationError(
            _("Enter a phone number with its country code, like +5511912345678."), code="phone"
        ) from None


class InvalidBody(Exception):
    """The body is no JSON object of plain values; `errors` says what is wrong, by field ("" for the whole body)."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        self.errors = errors
        super().__init__(str(errors))


def json_fields(body: str) -> dict[str, Any]:
    """The fields of an API body, as a form takes them; raises `InvalidBody`."""
    try:
        content = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidBody({"": [_("The body is not valid JSON.")]}) from None
    if not isinstance(content, dict):
        raise InvalidBody({"": [_("The body must be a JSON object.")]})
    errors: dict[str, list[str]] = {}
    fields: dict[str, Any] = {}
    for name, value in content.items():
        if len(errors) == MOST_ERRORS:
            break
        if name not in ApiLeadForm.base_fields:
            errors[readable(name)[:NAME_SHOWN]] = [_("Unknown field.")]
        elif name in CONSENT_FIELDS.values():
            if not isinstance(value, bool):
                errors[name] = [_("This must be true or false.")]
            fields[name] = value is True
        elif value is None:
            continue
        elif isinstance(value, str) and not is_storable(value):
            errors[name] = [_("This text contains a character that can’t be stored.")]
        elif isinstance(value, str) or (name == "value" and _is_number(value)):
            fields[name] = str(value)
        else:
            errors[name] = [_("This must be text.")]
    if errors:
        raise InvalidBody(errors)
    return fields


def field_errors(form: forms.Form) -> dict[str, list[str]]:
    """A form's errors as plain data."""
    errors: Mapping[str, Any] = form.errors
    return {("" if name == "__all__" else name): [str(text) for text in texts] for name, texts in errors.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
