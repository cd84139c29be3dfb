"""Where an organization's leads are delivered."""

from __future__ import annotations

import base64
import binascii
import secrets

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization

from ..outgoing import UnusableAddress, target_of


def new_webhook_secret() -> str:
    """A secret as Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def check_webhook_secret(value: str) -> None:
    """Raise `ValidationError` unless the value is a secret as Standard Webhooks writes it."""
    try:
        secret = base64.b64decode(value.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) < 16:
        raise ValidationError(_("A secret is 'whsec_' and at least 16 bytes in base64."))


class CrmWebhook(models.Model):
    """An organization's own CRM: where its leads are sent, and what the deliveries are signed with."""

    organization = models.OneToOneField(
        Organization,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="crm_webhook",
        verbose_name=_("organization"),
    )
    url = models.CharField(
        _("address"),
        max_length=500,
        blank=True,
        default="",
        validators=[URLValidator(schemes=["http", "https"])],
        help_text=_("Where the leads are sent. Empty: to the site's own CRM, if it has one."),
    )
    secret = models.CharField(
        _("secret"), max_length=200, default=new_webhook_secret, validators=[check_webhook_secret]
    )
    #: While the CRM is too slow: when the next delivery may be tried. See `leads.crm.pause`.
    resume_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("CRM webhook")
        verbose_name_plural = _("CRM webhooks")

    def __str__(self) -> str:
        return str(self.organization)

    def clean(self) -> None:
        """Refuse an address that no request may reach, where that can be told without looking its name up."""
        if self.url:
            try:
                target_of(self.url)
            except UnusableAddress as error:
                raise ValidationError({"url": str(error.reason)}) from None
