"""Who uses the product: organisations, their members, their API keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import uuid

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..outgoing import UnusableAddress, target_of

KEY_PREFIX = "esk_"


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


class Organization(models.Model):
    """A customer of the product; every lead belongs to one."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(_("short name"), unique=True, help_text=_("Stands in the address of its web form."))
    language = models.CharField(_("language"), max_length=10, choices=settings.LANGUAGES, default="en")
    country = models.CharField(
        _("country"), max_length=2, blank=True, default="", help_text=_("For phone numbers given without a country.")
    )
    crm_webhook_url = models.CharField(
        _("CRM webhook"), max_length=500, blank=True, default="", validators=[URLValidator(schemes=["http", "https"])]
    )
    crm_webhook_secret = models.CharField(
        _("CRM webhook secret"), max_length=200, default=new_webhook_secret, validators=[check_webhook_secret]
    )
    #: While its CRM is too slow: when the next delivery may be tried. See `leads.crm.pause`.
    crm_resume_at = models.DateTimeField(null=True, editable=False)
    mail_from = models.EmailField(
        _("sender's address"),
        blank=True,
        default="",
        help_text=_("Mail to leads comes from here. Empty: the site's own address. The mail provider must allow it."),
    )
    mail_reply_to = models.EmailField(
        _("reply address"),
        blank=True,
        default="",
        help_text=_("Where leads' replies go. Empty: to whoever looks after the lead, or else to a manager."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a webhook that no request may reach, where that can be told without looking its name up."""
        if self.crm_webhook_url:
            try:
                target_of(self.crm_webhook_url)
            except UnusableAddress as error:
                raise ValidationError({"crm_webhook_url": str(error.reason)}) from None


class Role(models.TextChoices):
    """What a member is in the organisation."""

    MANAGER = "manager", pgettext_lazy("role", "manager")
    MEMBER = "member", pgettext_lazy("role", "member")


class Membership(models.Model):
    """A user's place in an organisation."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("user")
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("organization")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.MEMBER)
    language = models.CharField(
        _("language"),
        max_length=10,
        choices=settings.LANGUAGES,
        blank=True,
        default="",
        help_text=_("Empty: the organization's."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["user", "organization"], name="leads_one_membership")]

    def __str__(self) -> str:
        return f"{self.user} · {self.organization}"


class ApiKey(models.Model):
    """A key for the intake API. Only its hash is kept: 256 random bits need no salt and no slow hash."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="api_keys", verbose_name=_("organization")
    )
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("begins with"), max_length=12, editable=False)
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def new_secret() -> str:
        """A new key, to be shown once."""
        return KEY_PREFIX + secrets.token_urlsafe(32)

    @staticmethod
    def hash_of(secret: str) -> str:
        """What is stored of a key."""
        return hashlib.sha256(secret.encode()).hexdigest()
