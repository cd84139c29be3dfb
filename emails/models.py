"""Every mail is a row before it is a mail; campaigns."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Organization
from leads.models import Effect, Lead

#: So long a mail service surely knows a key (Resend: 24 hours).
KEY_LASTS = timedelta(hours=23)


class Campaign(models.Model):
    """One mail to the leads of an organisation who agreed to get mail: to all of them, or to those that are chosen."""

    class State(models.TextChoices):
        """How far the campaign has come."""

        DRAFT = "draft", pgettext_lazy("campaign", "draft")
        SCHEDULED = "scheduled", pgettext_lazy("campaign", "scheduled")
        SENDING = "sending", pgettext_lazy("campaign", "being sent")
        PAUSED = "paused", pgettext_lazy("campaign", "paused")
        SENT = "sent", pgettext_lazy("campaign", "sent")
        CANCELLED = "cancelled", pgettext_lazy("campaign", "cancelled")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="campaigns", verbose_name=_("organization")
    )
    name = models.CharField(_("name"), max_length=200)
    subject = models.CharField(_("subject"), max_length=200)
    text = models.TextField(_("text"), help_text=_("Plain text; an empty line begins a new paragraph."))
    #: of what stands around the text; empty: each lead's own
    language = models.CharField(_("language"), max_length=10, blank=True, default="", db_default="")
    #: which leads get it, as `audience` reads it; empty: all
    audience = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), blank=True, editable=False
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT, editable=False)
    #: the last lead of the last chunk that is planned
    position = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True, editable=False)
    #: since when every lead's mail is stated
    planned_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True, editable=False)
    #: when a scheduled one begins
    starts_at = models.DateTimeField(_("begins"), null=True, blank=True, editable=False)
    #: grows when it is scheduled, paused or cancelled: jobs that plan an earlier run do nothing any more
    run = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    #: leads that it goes to: counted when it begins, exact once all are planned
    recipients = models.PositiveIntegerField(null=True, blank=True, editable=False)
    #: mails that went out; not counted while some have not ended
    sent = models.PositiveIntegerField(null=True, blank=True, editable=False)
    #: since when it has been sending without a pause, and how many of its mails had ended by then
    resumed_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_before = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ["-created_at"]
        permissions = [("send_campaign", _("Can send campaigns"))]
        indexes = [models.Index(fields=["organization", "created_at", "id"], name="emails_campaigns_of_org")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The page that the organisation's members see."""
        return reverse("campaigns:campaign", args=[self.id])

    @property
    def fingerprint(self) -> str:
        """Tells apart what is sent, and to whom: another one after each change of these."""
        content = json.dumps([self.subject, self.text, self.language, self.audience], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


class Delivery(models.TextChoices):
    """What the mail service has told of a mail that it took; a later one of these is never taken back by an earlier."""

    UNKNOWN = "", pgettext_lazy("delivery", "not reported")
    DELIVERED = "delivered", pgettext_lazy("delivery", "delivered")
    REJECTED = "rejected", pgettext_lazy("delivery", "rejected by the mail service")
    BOUNCED = "bounced", pgettext_lazy("delivery", "bounced")
    COMPLAINED = "complained", pgettext_lazy("delivery", "reported as spam")


class EmailMessage(Effect):
    """One mail to one address. `kind` and `key` name the intent: the same intent is never stated twice."""

    class Kind(models.TextChoices):
        """Why the mail is sent; also the folder of its templates."""

        WELCOME = "welcome", pgettext_lazy("mail", "welcome")
        LEAD_NOTIFICATION = "lead_notification", pgettext_lazy("mail", "news of a lead")
        SUBMISSION_CONFIRMATION = "submission_confirmation", pgettext_lazy("mail", "confirmation")
        FOLLOW_UP = "follow_up", pgettext_lazy("mail", "follow-up")
        CAMPAIGN = "campaign", pgettext_lazy("mail", "campaign")
        CAMPAIGN_TEST = "campaign_test", pgettext_lazy("mail", "test of a campaign")
        CONSENT_REQUEST = "consent_request", pgettext_lazy("mail", "confirmation of consent")
        INVITATION = "invitation", pgettext_lazy("mail", "invitation")
        PASSWORD_RESET = "password_reset", pgettext_lazy("mail", "new password")
        DIGEST = "digest", pgettext_lazy("mail", "daily email")

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
    #: when its content was removed, since it was old
    emptied_at = models.DateTimeField(_("content removed"), null=True, blank=True, editable=False)
    #: the newest job that is to send it
    job_id = models.UUIDField(_("job"), null=True, blank=True)
    receipt = models.CharField(
        _("receipt"), max_length=300, blank=True, default="", help_text=_("The id by which the mail service calls it.")
    )
    #: How it was last handed over, and since when: so long another try with the same key sends nothing twice.
    provider = models.CharField(_("mail service"), max_length=20, blank=True, default="")
    offered_at = models.DateTimeField(null=True, blank=True, editable=False)
    delivery = models.CharField(_("delivery"), max_length=10, choices=Delivery, blank=True, default="")
    delivery_at = models.DateTimeField(_("reported"), null=True, blank=True)
    delivery_detail = models.CharField(_("what the mailbox said"), max_length=500, blank=True, default="")

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
            # `emails.retention`
            models.Index(
                fields=["created_at", "id"], name="emails_to_empty", condition=models.Q(emptied_at__isnull=True)
            ),
            models.Index(fields=["campaign", "state", "id"], name="emails_of_campaign_by_id"),
            models.Index(fields=["receipt"], name="emails_of_receipt", condition=~models.Q(receipt="")),
        ]

    def __str__(self) -> str:
        return self.subject or f"{self.get_kind_display()} → {self.to}"

    def claim_to_send(self, job_id: UUID, provider: str, *, recognises_repetition: bool) -> bool:
        """Take the mail for a job, and note by whom it is sent; False when it is done, another job has it, or unclear.

        One that is unclear is taken again only where it was handed over first, and as long as its key is known there.
        """
        now = timezone.now()
        known_there = self.offered_at is None or (self.provider == provider and now - self.offered_at < KEY_LASTS)
        return self.claim(
            job_id,
            repeatable=recognises_repetition and known_there,
            provider=provider,
            offered_at=Coalesce("offered_at", models.Value(now)),
        )

    @property
    def can_be_repeated(self) -> bool:
        """As `Effect` has it; not if its content was removed, or its campaign cancelled."""
        cancelled = self.campaign is not None and self.campaign.state == Campaign.State.CANCELLED
        return self.emptied_at is None and super().can_be_repeated and not cancelled

    def reopen(self, *, recorded: bool = False) -> bool:
        """Make it pending again, as `Effect` does, and forget what was reported of the earlier mail."""
        rows = type(self).objects.filter(pk=self.pk)
        with transaction.atomic():
            # locked: its content may be about to go
            whole = rows.select_for_update().filter(emptied_at__isnull=True).first()
            if whole is None or not whole.can_be_repeated or not super().reopen(recorded=recorded):
                return False
            rows.update(offered_at=None, delivery="", delivery_at=None, delivery_detail="")
        return True


class Suppression(models.Model):
    """An address that an organisation's mails do not go to any more; without an organisation, nobody's.

    The address is kept as a keyed hash, so that it can outlive the erasure of whom it belongs to.
    """

    class Reason(models.TextChoices):
        """Why."""

        BOUNCED = "bounced", pgettext_lazy("suppression", "bounced")
        COMPLAINED = "complained", pgettext_lazy("suppression", "reported as spam")

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("organization")
    )
    address_hash = models.CharField(_("hash of the address"), max_length=64)
    reason = models.CharField(_("reason"), max_length=10, choices=Reason)
    #: the mail that it was reported of, and who reported it
    message = models.ForeignKey(
        EmailMessage, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("e-mail")
    )
    provider = models.CharField(_("reported by"), max_length=20, blank=True, default="")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    lifted_at = models.DateTimeField(_("lifted"), null=True, blank=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("lifted by"),
    )

    class Meta:
        verbose_name = _("suppressed address")
        verbose_name_plural = _("suppressed addresses")
        ordering = ["-created_at", "-id"]
        permissions = [("lift_suppression", _("Can allow mail to suppressed addresses again"))]
        indexes = [
            models.Index(fields=["address_hash", "organization"], name="emails_suppressed"),
            models.Index(fields=["organization", "created_at", "id"], name="emails_suppressed_of_org"),
            models.Index(fields=["created_at", "id"], name="emails_suppressed_list"),
        ]

    def __str__(self) -> str:
        return f"{self.get_reason_display()} {self.address_hash[:8]}"
