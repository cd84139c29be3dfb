"""What a lead agreed to, and when, where and in which words: a log that is only added to."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Organization

from .lead import Lead


class ConsentPurpose(models.TextChoices):
    """What a lead may be written to for."""

    REQUEST = "request", pgettext_lazy("consent", "replies to the request")
    MARKETING = "marketing", pgettext_lazy("consent", "news and offers")


class ConsentAct(models.TextChoices):
    """What a line of the log says. ASKED counts for nothing until the lead confirms it by mail."""

    ASKED = "asked", pgettext_lazy("consent", "waiting for confirmation")
    GIVEN = "given", pgettext_lazy("consent", "given")
    WITHDRAWN = "withdrawn", pgettext_lazy("consent", "withdrawn")


class ConsentSource(models.TextChoices):
    """The way by which we know."""

    FORM = "form", pgettext_lazy("consent source", "web form")
    API = "api", "API"
    STAFF = "staff", pgettext_lazy("consent source", "told to staff")
    IMPORT = "import", pgettext_lazy("consent source", "import")
    CONFIRMED = "confirmed", pgettext_lazy("consent source", "confirmed by e-mail")
    UNSUBSCRIBE_LINK = "link", pgettext_lazy("consent source", "unsubscribe link")
    COMPLAINT = "complaint", pgettext_lazy("consent source", "reported as spam")


class ConsentLog(models.QuerySet["ConsentRecord"]):
    """The log's lines: nobody changes or deletes one."""

    def update(self, **values: Any) -> int:
        """Refused: a change of mind is a new line."""
        raise TypeError("the consent log is only added to; record the change as a new line")

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refused: the log is a proof."""
        raise TypeError("the consent log is only added to; its lines stay")

    def empty_wordings(self) -> int:
        """Erase the words that a person typed. Those of our own form, and all that is a proof, stay."""
        typed = self.exclude(source__in=[ConsentSource.FORM, ConsentSource.CONFIRMED])
        return super(ConsentLog, typed).update(wording="")


class ConsentRecord(models.Model):
    """One line: for which purpose, what happened, how we know, and what stood on the lead before and after it.

    It outlives the lead's data as the proof that somebody agreed, or did not want any more: then the address is known
    only by its keyed hash.
    """

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="consents", verbose_name=_("organization")
    )
    lead = models.ForeignKey(
        Lead, on_delete=models.SET_NULL, null=True, blank=True, related_name="consents", verbose_name=_("lead")
    )
    purpose = models.CharField(_("purpose"), max_length=10, choices=ConsentPurpose)
    act = models.CharField(_("consent"), max_length=10, choices=ConsentAct)
    source = models.CharField(_("source"), max_length=10, choices=ConsentSource)
    wording = models.TextField(_("wording"), blank=True, default="")
    wording_version = models.CharField(_("version of the wording"), max_length=20, blank=True, default="")
    #: the lead's time of consent for this purpose
    old = models.DateTimeField(_("consent before"), null=True, blank=True)
    new = models.DateTimeField(_("consent after"), null=True, blank=True)
    old_unsubscribed = models.DateTimeField(_("unsubscribed before"), null=True, blank=True)
    new_unsubscribed = models.DateTimeField(_("unsubscribed after"), null=True, blank=True)
    address_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("recorded by"),
    )
    at = models.DateTimeField(_("recorded"), auto_now_add=True)

    objects = models.Manager.from_queryset(ConsentLog)()

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["lead", "-at"], name="leads_consent_newest"),
            models.Index(fields=["organization", "address_hash", "-at"], name="leads_consent_of_address"),
            models.Index(fields=["at", "id", "purpose", "act", "source"], name="leads_consent_list"),
            models.Index(
                fields=["organization", "at", "id", "purpose", "act", "source"], name="leads_consent_list_of_org"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()}: {self.get_act_display()}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the line; one that is there is never changed."""
        if not self._state.adding:
            raise TypeError("the consent log is only added to; record the change as a new line")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refused: the log is a proof."""
        raise TypeError("the consent log is only added to; its lines stay")
