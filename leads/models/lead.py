"""A lead and what happened to it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Organization

from .folded import FoldedField


class LeadStatus(models.TextChoices):
    """How far the lead has come."""

    NEW = "new", pgettext_lazy("lead status", "new")
    CONTACTED = "contacted", pgettext_lazy("lead status", "contacted")
    QUALIFIED = "qualified", pgettext_lazy("lead status", "qualified")
    PROPOSAL = "proposal", pgettext_lazy("lead status", "proposal")
    WON = "won", pgettext_lazy("lead status", "won")
    LOST = "lost", pgettext_lazy("lead status", "lost")


#: Nobody has anything left to do with it.
CLOSED = (LeadStatus.WON, LeadStatus.LOST)


class LeadSource(models.TextChoices):
    """Where the lead came from."""

    WEBSITE = "website", pgettext_lazy("lead source", "website")
    FORM = "form", pgettext_lazy("lead source", "form")
    API = "api", "API"
    IMPORT = "import", pgettext_lazy("lead source", "import")
    REFERRAL = "referral", pgettext_lazy("lead source", "referral")
    ADS = "ads", pgettext_lazy("lead source", "ads")
    EVENT = "event", pgettext_lazy("lead source", "event")
    OTHER = "other", pgettext_lazy("lead source", "other")


class PresentLeads(models.Manager["Lead"]):
    """The leads whose data was not erased: all that jobs and services may work on."""

    def get_queryset(self) -> models.QuerySet[Lead]:
        """Those that are still somebody."""
        return super().get_queryset().filter(erased_at__isnull=True)


class Lead(models.Model):
    """Someone who may buy. `version` grows with every change; `score_version` is the version that was scored last."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="leads", verbose_name=_("organization")
    )
    name = models.CharField(_("name"), max_length=200)
    name_key = FoldedField(_("name, in small letters"), of="name", max_length=200)
    email = models.CharField(_("e-mail"), max_length=254, blank=True, default="")
    email_key = models.CharField(  # noqa: DJ001 - NULL is "no address" in the unique constraint
        _("e-mail, normalized"), max_length=254, null=True, blank=True, editable=False
    )
    phone = models.CharField(_("phone"), max_length=32, blank=True, default="", help_text=_("As +5511912345678."))
    company = models.CharField(_("company"), max_length=200, blank=True, default="")
    job_title = models.CharField(_("job title"), max_length=200, blank=True, default="")
    message = models.TextField(_("message"), blank=True, default="")
    status = models.CharField(_("status"), max_length=10, choices=LeadStatus, default=LeadStatus.NEW)
    source = models.CharField(_("source"), max_length=10, choices=LeadSource, default=LeadSource.OTHER)
    value = models.DecimalField(_("value"), max_digits=14, decimal_places=2, null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="")
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="leads",
        verbose_name=_("assignee"),
    )
    score = models.PositiveSmallIntegerField(_("score"), null=True, blank=True, editable=False)
    score_reasons = models.JSONField(_("score's reasons"), default=list, blank=True, editable=False)
    score_version = models.PositiveIntegerField(default=0, editable=False)
    #: from when on the score is lower if nothing happens meanwhile
    score_falls_at = models.DateTimeField(null=True, blank=True, editable=False)
    enrichment = models.JSONField(_("enrichment"), default=dict, blank=True, editable=False)
    #: the present state of `ConsentRecord`'s log, which alone changes these three
    request_consent_at = models.DateTimeField(_("may be written to about the request"), null=True, blank=True)
    marketing_consent_at = models.DateTimeField(_("may be sent news and offers"), null=True, blank=True)
    unsubscribed_at = models.DateTimeField(_("unsubscribed"), null=True, blank=True)
    utm_source = models.CharField("utm_source", max_length=200, blank=True, default="")
    utm_medium = models.CharField("utm_medium", max_length=200, blank=True, default="")
    utm_campaign = models.CharField("utm_campaign", max_length=200, blank=True, default="")
    utm_term = models.CharField("utm_term", max_length=200, blank=True, default="")
    utm_content = models.CharField("utm_content", max_length=200, blank=True, default="")
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, default="")
    locale = models.CharField(_("language"), max_length=20, blank=True, default="")
    #: the file that it was first named in, if it came by one
    imported_in = models.ForeignKey(
        "leads.LeadImport",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        db_index=False,
        related_name="leads",
        verbose_name=_("import"),
    )
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    last_activity_at = models.DateTimeField(_("last activity"), null=True, blank=True, editable=False)
    #: when a person last did something with it, or it was given to somebody
    touched_at = models.DateTimeField(_("last touched"), default=timezone.now, editable=False)
    #: since when it counts as untouched for too long, and its assignee was told
    stale_at = models.DateTimeField(_("stale since"), null=True, blank=True, editable=False)
    #: from then on nothing writes personal data into this row or one that belongs to it
    erased_at = models.DateTimeField(_("personal data erased"), null=True, blank=True, editable=False)

    objects = models.Manager["Lead"]()
    present = PresentLeads()

    class Meta:
        verbose_name = _("lead")
        verbose_name_plural = _("leads")
        ordering = ["-created_at", "-id"]
        permissions = [
            ("sync_lead", _("Can send leads to the CRM")),
            ("assign_lead", _("Can assign leads")),
            ("change_lead_status", _("Can change the status of leads")),
            ("erase_lead", _("Can erase the personal data of leads")),
            ("record_consent", _("Can record and withdraw the consent of leads")),
            ("export_lead", _("Can export leads")),
        ]
        constraints = [
            # whole, not partial: `bulk_create(update_conflicts=True)` cannot use a partial one
            models.UniqueConstraint(fields=["organization", "email_key"], name="leads_one_email"),
        ]
        indexes = [
            # the list's order, with what it can be filtered by behind it
            models.Index(fields=["created_at", "id", "status", "source"], name="leads_list"),
            models.Index(fields=["organization", "created_at", "id", "status", "source"], name="leads_list_of_org"),
            # the members' lists: of one person's leads, or nobody's; and the board's columns. With all that they can be
            # narrowed down by
            models.Index(
                fields=["organization", "assignee", "created_at", "id", "status", "score", "source"],
                name="leads_list_of_person",
                condition=models.Q(erased_at__isnull=True),
            ),
            models.Index(
                fields=["organization", "status", "created_at", "id", "assignee", "score", "source"],
                name="leads_list_of_status",
                condition=models.Q(erased_at__isnull=True),
            ),
            # how a search begins; the class of operators is PostgreSQL's
            models.Index(fields=["email_key"], name="leads_email_begins", opclasses=["varchar_pattern_ops"]),
            models.Index(fields=["name_key"], name="leads_name_begins", opclasses=["varchar_pattern_ops"]),
            models.Index(
                fields=["organization", "name_key"],
                name="leads_name_of_org",
                opclasses=["uuid_ops", "varchar_pattern_ops"],
            ),
            # who wrote by phone only is known by it
            models.Index(fields=["organization", "phone"], name="leads_phone"),
            # and whoever sees every organization searches for a number in all of them
            models.Index(fields=["phone"], name="leads_phone_of_all"),
            # whom a campaign may be sent to, in the order of its chunks
            models.Index(
                fields=["organization", "id"],
                name="leads_get_news",
                condition=models.Q(marketing_consent_at__isnull=False, unsubscribed_at__isnull=True),
            ),
            # `leads.stale`: which are to be marked; each NOT of its own, so that SQLite knows the query's values again
            models.Index(
                fields=["touched_at", "id"],
                name="leads_to_remind",
                condition=models.Q(assignee__isnull=False, stale_at__isnull=True)
                & ~models.Q(status=LeadStatus.WON)
                & ~models.Q(status=LeadStatus.LOST),
            ),
            # and the list of those that are
            models.Index(
                fields=["organization", "created_at", "id"],
                name="leads_stale_of_org",
                condition=models.Q(stale_at__isnull=False),
            ),
            # whose they are, when an import is undone or forgotten
            models.Index(
                fields=["imported_in", "id"], name="leads_imported_in", condition=models.Q(imported_in__isnull=False)
            ),
            # `leads.decay`
            models.Index(fields=["score_falls_at", "id"], name="leads_score_falls"),
        ]

    def __str__(self) -> str:
        return self.name or self.email or str(self.id)

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save; a name takes its key along."""
        if update_fields is not None and "name" in (update_fields := set(update_fields)):
            update_fields.add("name_key")
        super().save(*args, update_fields=update_fields, **kwargs)

    def get_absolute_url(self) -> str:
        """The page that the organisation's members see."""
        return reverse("leads:lead", args=[self.id])


class Activity(models.Model):
    """One change of a lead, for its timeline."""

    class Kind(models.TextChoices):
        """What happened."""

        CREATED = "created", pgettext_lazy("activity", "created")
        SUBMISSION = "submission", pgettext_lazy("activity", "wrote to us")
        CHANGED = "changed", pgettext_lazy("activity", "changed")
        ASSIGNED = "assigned", pgettext_lazy("activity", "assigned")
        STATUS = "status", pgettext_lazy("activity", "status changed")
        ENRICHED = "enriched", pgettext_lazy("activity", "enriched")
        SCORED = "scored", pgettext_lazy("activity", "scored")
        DECAYED = "decayed", pgettext_lazy("activity", "the score fell with time")
        UNSUBSCRIBED = "unsubscribed", pgettext_lazy("activity", "unsubscribed")
        ERASED = "erased", pgettext_lazy("activity", "personal data erased")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="activities", verbose_name=_("lead"))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    detail = models.JSONField(_("detail"), default=dict, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("activity")
        verbose_name_plural = _("activities")
        indexes = [models.Index(fields=["lead", "-at"], name="leads_activity_newest")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.at:%Y-%m-%d %H:%M}"


class Note(models.Model):
    """What a person wrote about a lead."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="notes", verbose_name=_("lead"))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("author")
    )
    text = models.TextField(_("text"), max_length=10_000)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        indexes = [models.Index(fields=["lead", "-at"], name="leads_note_newest")]

    def __str__(self) -> str:
        return self.text[:60]
