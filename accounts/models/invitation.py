"""Who was asked to become a member."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .organization import Organization, Role
from .user import AddressField

#: So long the link in an invitation works.
INVITATION_LASTS = timedelta(days=7)


class Invitation(models.Model):
    """One address that was asked to join, in a role. The link itself is nowhere: it is made while the mail is sent."""

    class State(models.TextChoices):
        """What became of it."""

        OPEN = "open", pgettext_lazy("invitation", "open")
        ACCEPTED = "accepted", pgettext_lazy("invitation", "accepted")
        WITHDRAWN = "withdrawn", pgettext_lazy("invitation", "withdrawn")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="invitations", verbose_name=_("organization")
    )
    email = AddressField(_("email address"))
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.AGENT)
    language = models.CharField(
        _("language"),
        max_length=10,
        choices=settings.LANGUAGES,
        blank=True,
        default="",
        help_text=_("Empty: the organization's."),
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN, editable=False)
    #: None: the site itself. An invitation holds as long as its maker could make it, and goes with them.
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("invited by"),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    #: when the newest mail was asked for; its link works for `INVITATION_LASTS`
    sent_at = models.DateTimeField(_("sent"), default=timezone.now, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, editable=False)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"], condition=models.Q(state="open"), name="accounts_one_open_invitation"
            )
        ]
        indexes = [models.Index(fields=["organization", "created_at", "id"], name="accounts_invited_list")]

    def __str__(self) -> str:
        return f"{self.email} · {self.organization}"

    @property
    def expires_at(self) -> datetime:
        """When the link in the newest mail ends."""
        return self.sent_at + INVITATION_LASTS
