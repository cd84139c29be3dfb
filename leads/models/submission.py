"""What came in from outside, and what goes out to the CRM."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import ApiKey, Organization

from .effect import Effect
from .lead import Lead


class Channel(models.TextChoices):
    """The way a submission came in."""

    FORM = "form", pgettext_lazy("channel", "form")
    API = "api", "API"


class SubmissionState(models.TextChoices):
    """What has become of a submission."""

    RECEIVED = "received", pgettext_lazy("submission", "received")
    PROCESSED = "processed", pgettext_lazy("submission", "processed")
    INVALID = "invalid", pgettext_lazy("submission", "invalid")
    FAILED = "failed", pgettext_lazy("submission", "failed")
    TRAPPED = "trapped", pgettext_lazy("submission", "suspected spam")


#: What waits to become a lead.
OPEN = (SubmissionState.RECEIVED, SubmissionState.FAILED)


class Submission(models.Model):
    """A body as it arrived, stored before anything is done with it."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="submissions", verbose_name=_("organization")
    )
    lead = models.ForeignKey(
        Lead, on_delete=models.SET_NULL, null=True, blank=True, related_name="submissions", verbose_name=_("lead")
    )
    channel = models.CharField(_("channel"), max_length=4, choices=Channel)
    state = models.CharField(_("state"), max_length=10, choices=SubmissionState, default=SubmissionState.RECEIVED)
    body = models.TextField(_("body"))
    #: what it says, as `LeadForm` understood it: empty until it is processed
    content = models.JSONField(_("content"), default=dict, blank=True, editable=False)
    locale = models.CharField(_("language"), max_length=20, blank=True, default="")
    errors = models.JSONField(_("field errors"), default=dict, blank=True)
    problem = models.TextField(_("problem"), blank=True, default="")
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.SET_NULL, null=True, blank=True, related_name="submissions", verbose_name=_("API key")
    )
    idempotency_key = models.CharField(  # noqa: DJ001 - NULL is "no key" in the unique constraint
        _("idempotency key"), max_length=200, null=True, blank=True
    )
    body_hash = models.CharField(max_length=64, editable=False)
    answer_status = models.PositiveSmallIntegerField(_("answered with"), null=True, blank=True)
    answer = models.JSONField(_("answer"), null=True, blank=True)
    received_at = models.DateTimeField(_("received"), auto_now_add=True)
    started_at = models.DateTimeField(_("work on it began"), auto_now_add=True)
    processed_at = models.DateTimeField(_("processed"), null=True, blank=True)

    class Meta:
        verbose_name = _("submission")
        verbose_name_plural = _("submissions")
        ordering = ["-received_at"]
        permissions = [("process_submission", _("Can process submissions again"))]
        constraints = [
            models.UniqueConstraint(fields=["api_key", "idempotency_key"], name="leads_one_idempotency_key"),
        ]
        indexes = [
            models.Index(fields=["api_key", "received_at"], name="leads_submissions_of_key"),
            models.Index(fields=["received_at", "id", "state", "channel"], name="leads_submissions_list"),
            # what is open; whole: SQLite does not see by a statement's parameters that a partial one would do
            models.Index(fields=["state", "received_at"], name="leads_submissions_open"),
            models.Index(
                fields=["organization", "received_at", "id", "state", "channel"], name="leads_submissions_list_of_org"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.received_at:%Y-%m-%d %H:%M:%S}"


def hash_of_fields(custom_fields: Mapping[str, Any] | None) -> str:
    """What tells two sets of custom fields apart in a unique key."""
    written = json.dumps(custom_fields or {}, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(written.encode()).hexdigest()


class CrmDelivery(Effect):
    """The intent to bring a version of a lead to the organisation's CRM. A newer version stands for the older ones."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="crm_deliveries", verbose_name=_("organization")
    )
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="crm_deliveries", verbose_name=_("lead"))
    lead_version = models.PositiveIntegerField(_("lead's version"))
    custom_fields = models.JSONField(_("custom fields"), default=dict, blank=True)
    custom_fields_hash = models.CharField(max_length=64, editable=False)
    target = models.CharField(_("target"), max_length=500, blank=True, default="")
    payload = models.JSONField(_("payload"), null=True, blank=True)
    response_status = models.PositiveSmallIntegerField(_("response"), null=True, blank=True)
    response_body = models.TextField(_("response's text"), blank=True, default="")

    class Meta:
        verbose_name = _("CRM delivery")
        verbose_name_plural = _("CRM deliveries")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["lead", "lead_version", "custom_fields_hash"], name="leads_one_delivery_of_version"
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id", "state"], name="leads_deliveries_list"),
            models.Index(fields=["organization", "created_at", "id", "state"], name="leads_deliveries_list_of_org"),
        ]

    def __str__(self) -> str:
        return f"{self.lead_id} v{self.lead_version}"
