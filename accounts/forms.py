"""Signing in, asking for a new password, joining; and of members' forms, whose a new row is."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, BaseUserCreationForm, PasswordResetForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import guesses, limits
from .models import Organization, User
from .services import request_password_reset


def ask_for_organization(form: forms.BaseForm, choice: QuerySet[Organization] | None) -> Organization | None:
    """Let the form ask whose it is only where there is a choice; the answer is the only one where there is none."""
    few = [] if choice is None else list(choice[:2])
    if len(few) < 2:
        del form.fields["organization"]
    else:
        field: Any = form.fields["organization"]
        field.queryset = choice
    return few[0] if len(few) == 1 else None


class SignInForm(AuthenticationForm):
    """By address and password. Who tries again and again waits (`accounts.guesses`); only tries that fail count."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": _("Email address and password do not match. The password is case-sensitive."),
        "too_many": _("Too many attempts. Please try again in a few minutes, or reset your password."),
    }

    def clean(self) -> dict[str, Any]:
        """Who it is; a try that succeeds is not counted."""
        address = self.cleaned_data.get("username")
        if address is None or not self.cleaned_data.get("password"):
            return self.cleaned_data
        network, at = network_of_request(self.request), timezone.now()
        if not guesses.count(address, network, at):
            raise ValidationError(self.error_messages["too_many"], code="too_many")
        cleaned: dict[str, Any] = super().clean()
        guesses.uncount(address, network, at)
        return cleaned


class ResetForm(PasswordResetForm):
    """An address; what follows, follows by mail, and the page says the same whoever has it."""

    def save(self, *args: Any, request: Any = None, **kwargs: Any) -> None:
        """Have the link mailed."""
        request_password_reset(self.cleaned_data["email"], network=network_of_request(request))


class JoinForm(BaseUserCreationForm):  # type: ignore[type-arg]
    """Name and password of somebody who was invited and is new here; the address is that of the invitation."""

    first_name = forms.CharField(label=_("First name"), max_length=150)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)

    class Meta:
        model = User
        fields = ("first_name", "last_name")


def network_of_request(request: HttpRequest | None) -> str:
    """Where a request comes from, as limits count it; empty if that is unknown."""
    return limits.network_of(request.META.get("REMOTE_ADDR", "") if request is not None else "")
