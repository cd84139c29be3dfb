"""A file of leads that a member brings in: what was chosen for it, its rows in pieces, and what became of them."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Organization

from .lead import LeadSource


class ImportState(models.TextChoices):
    """How far an import has come."""

    DRAFT = "draft", pgettext_lazy("import", "not started")
    RUNNING = "running", pgettext_lazy("import", "running")
    CANCELLING = "cancelling", pgettext_lazy("import", "being cancelled")
    DONE = "done", pgettext_lazy("import", "done")
    CANCELLED = "cancelled", pgettext_lazy("import", "cancelled")
    FAILED = "failed", pgettext_lazy("import", "stopped early")


#: Jobs of it wait or run.
UNDER_WAY = (ImportState.RUNNING, ImportState.CANCELLING)


class KnownLeads(models.TextChoices):
    """What an import does with a lead that the organization has already."""

    SKIP = "skip", pgettext_lazy("import", "Skip the row; the lead stays as it is")
    FILL = "fill", pgettext_lazy("import", "Fill in what is empty; keep the rest")
    OVERWRITE = "overwrite", pgettext_lazy("import", "Replace with what the file says; an empty cell changes nothing")


class LeadImport(models.Model):
    """One file. The file itself is not kept: its rows are, in `ImportPiece`, until the import has ended."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="lead_imports", verbose_name=_("organization")
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("uploaded by")
    )
    file_name = models.CharField(_("file"), max_length=200, blank=True, default="")
    size = models.PositiveBigIntegerField(_("size"), default=0)
    encoding = models.CharField(_("encoding"), max_length=20, default="utf-8")
    delimiter = models.CharField(_("separator"), max_length=1, default=",")
    #: the names of the columns; a file without them has "Column 1" and so on
    header = models.JSONField(default=list)
    header_hash = models.CharField(max_length=64, default="")
    #: for each column the name of the field it goes to, empty for none
    mapping = models.JSONField(default=list)
    known = models.CharField(_("known leads"), max_length=10, choices=KnownLeads, default=KnownLeads.SKIP)
    source = models.CharField(_("source"), max_length=10, choices=LeadSource, default=LeadSource.IMPORT)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("assignee"),
    )
    consent_evidence = models.TextField(_("how they agreed"), blank=True, default="", max_length=2_000)
    notify = models.BooleanField(_("tell people when it has ended"), default=True)
    enrich = models.BooleanField(_("enrich the new leads"), default=False)
    #: what is wrong with a row is said in it, and dates are read by it
    language = models.CharField(max_length=10, default="en")
    state = models.CharField(_("state"), max_length=10, choices=ImportState, default=ImportState.DRAFT)
    batch_id = models.UUIDField(null=True, editable=False)
    rows = models.PositiveIntegerField(_("rows"), default=0)
    #: counted when it has ended; before, the pieces know
    created = models.PositiveIntegerField(_("new"), default=0)
    updated = models.PositiveIntegerField(_("updated"), default=0)
    skipped = models.PositiveIntegerField(_("skipped"), default=0)
    wrong = models.PositiveIntegerField(_("wrong"), default=0)
    created_at = models.DateTimeField(_("uploaded"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, editable=False)
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("cancelled by")
    )

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ["-created_at"]
        default_permissions = ("add", "view")
        indexes = [
            models.Index(fields=["organization", "created_at", "id"], name="leads_imports_of_org"),
            models.Index(fields=["organization", "header_hash", "started_at"], name="leads_imports_like_it"),
            models.Index(fields=["created_at"], name="leads_imports_old"),
        ]

    def __str__(self) -> str:
        return self.file_name or str(self.id)

    @property
    def encoding_name(self) -> str:
        """The encoding as people know it."""
        return {"cp1252": "Windows-1252", "utf-8-sig": "UTF-8"}.get(self.encoding, self.encoding.upper())

    @property
    def tag(self) -> str:
        """What its jobs are tagged with."""
        return f"import:{self.id}"


class ImportPiece(models.Model):
    """So many rows of a file, worked by one job. `done_at` is written with what the rows became, or not at all."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lead_import = models.ForeignKey(LeadImport, on_delete=models.CASCADE, related_name="pieces")
    number = models.PositiveIntegerField()
    rows = models.PositiveIntegerField(default=0)
    #: `packed` [[line, [cell, …]], …]; NULL once nobody needs it any more
    content = models.TextField(null=True)  # noqa: DJ001 - NULL is "emptied"
    #: `packed` [[line, [cell, …], [what is wrong, …]], …]
    wrong_rows = models.TextField(null=True)  # noqa: DJ001 - NULL is "emptied"
    done_at = models.DateTimeField(null=True)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(default=0)
    #: rows that were taken out before they were done, since their person was erased
    erased = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("piece of an import")
        verbose_name_plural = _("pieces of imports")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["lead_import", "number"], name="leads_one_piece_of_number")]
        indexes = [
            # the counts, without the rows' texts
            models.Index(
                fields=["lead_import", "done_at", "rows", "created", "updated", "skipped", "wrong"],
                name="leads_import_counts",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lead_import_id} {self.number}"


def packed(rows: list[Any]) -> str:
    """Rows as a piece keeps them: text, since no JSON column of PostgreSQL takes a NUL that stands in a cell."""
    return json.dumps(rows, ensure_ascii=True, separators=(",", ":"))


def unpacked(content: str | None) -> list[Any]:
    """The rows of a piece; none of one that was emptied."""
    if content is None:
        return []
    rows: list[Any] = json.loads(content)
    return rows
