"""Every mail is a row before it is a mail; campaigns."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from leads.models import Effect, Lead, Organization


class Campaign(models.Model):
    """One mail to all leads of an organisation who agreed to get mail."""

    class State(models.TextChoices):
        """How far the campaign has come."""

        DRAFT = "draft", pgettext_lazy("campaign", "draft")
        SENDING = "sending", pgettext_lazy("campaign", "being sent")
        SENT = "sent", pgettext_lazy("campaign", "sent")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="campaigns", verbose_name=_("organization")
    )
    name = models.CharField(_("name"), max_length=200)
    subject = models.CharField(_("subject"), max_length=200)
    text = models.TextField(_("text"), help_text=_("Plain text; an empty line begins a new paragraph."))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT, editable=False)
    #: the last lead of the last chunk that is planned
    position = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True, editable=False)
    #: since when every lead's mail is stated
    planned_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ["-created_at"]
        permissions = [("send_campaign", _("Can send campaigns"))]

    def __str__(self) -> str:
        return self.name


class EmailMessage(Effect):
    """One mail to one address. `kind` and `key` name the intent: the same intent is never stated twice."""

    class Kind(models.TextChoices):
        """Why the mail is sent; also the folder of its templates."""

        WELCOME = "welcome", pgettext_lazy("mail", "welcome")
        LEAD_NOTIFICATION = "lead_notification", pgettext_lazy("mail", "news of a lead")
        SUBMISSION_CONFIRMATION = "submission_confirmation", pgettext_lazy("mail", "confirmation")
        FOLLOW_UP = "follow_up", pgettext_lazy("mail", "follow-up")
        CAMPAIGN = "campaign", pgettext_lazy("mail", "campaign")

    kind = models.CharField(_("kind"), max_length=24, choices=Kind)
    key = models.CharField(_("key"), max_length=200)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("organization")
    )
    lead = models.ForeignKey(
        Lead, on_delete=models.CASCADE, null=True, blank=True, related_name="emails", verbose_name=_("lead")
    )
    campaign = models.ForeignKey(
        Campaign, on_delete=models.CASCADE, null=True, blank=True, related_name="emails", verbose_name=_("campaign")
    )
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("member"),
    )
    to = models.EmailField(_("to"))
    language = models.CharField(_("language"), max_length=10, default="en")
    params = models.JSONField(_("parameters"), default=dict, blank=True)
    subject = models.CharField(_("subject"), max_length=300, blank=True, default="")
    text = models.TextField(_("text"), blank=True, default="")
    html = models.TextField("HTML", blank=True, default="")
    #: the newest job that is to send it
    job_id = models.UUIDField(_("job"), null=True, blank=True)
    receipt = models.CharField(
        _("receipt"), max_length=300, blank=True, default="", help_text=_("The id by which the mail service calls it.")
    )

    class Meta:
        verbose_name = _("e-mail")
        verbose_name_plural = _("e-mails")
        ordering = ["-created_at"]
        permissions = [("resend_emailmessage", _("Can send failed e-mails again"))]
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="emails_one_intent")]
        indexes = [
            models.Index(fields=["lead", "-created_at"], name="emails_of_lead"),
            models.Index(fields=["created_at", "id", "kind", "state"], name="emails_list"),
            models.Index(fields=["organization", "created_at", "id", "kind", "state"], name="emails_list_of_org"),
            models.Index(fields=["kind", "created_at", "id", "state"], name="emails_list_of_kind"),
            models.Index(fields=["to", "organization"], name="emails_to"),
            models.Index(fields=["campaign", "state"], name="emails_of_campaign"),
            models.Index(fields=["receipt"], name="emails_of_receipt", condition=~models.Q(receipt="")),
        ]

    def __str__(self) -> str:
        return self.subject or f"{self.get_kind_display()} → {self.to}"
