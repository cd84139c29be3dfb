"""Who uses the product: organizations and their members."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Organization(models.Model):
    """A customer of the product; every lead belongs to one."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(_("short name"), unique=True, help_text=_("Stands in the address of its web form."))
    language = models.CharField(_("language"), max_length=10, choices=settings.LANGUAGES, default="en")
    country = models.CharField(
        _("country"), max_length=2, blank=True, default="", help_text=_("For phone numbers given without a country.")
    )
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


class Role(models.TextChoices):
    """What a member is in the organization; what each may do is said in one place: `settings.ROLES`."""

    OWNER = "owner", pgettext_lazy("role", "owner")
    MANAGER = "manager", pgettext_lazy("role", "manager")
    AGENT = "agent", pgettext_lazy("role", "agent")


class Membership(models.Model):
    """A user's place in an organisation."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("user")
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("organization")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.AGENT)
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
        constraints = [models.UniqueConstraint(fields=["user", "organization"], name="accounts_one_membership")]

    def __str__(self) -> str:
        return f"{self.user} · {self.organization}"
