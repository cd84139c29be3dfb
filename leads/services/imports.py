"""Bring in a file of leads: keep its rows, choose what they mean, begin, cancel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import PurePath
from typing import Any, BinaryIO
from uuid import UUID

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.members import is_active_member
from accounts.models import Organization, User
from jobs import Batch

from .. import tasks
from ..imports.fields import CONSENTS, FIELDS, NAMES, guessed
from ..imports.reading import UnreadableFile, read_table
from ..models import ImportPiece, ImportState, LeadImport, packed
from ..readable import readable

#: Rows of a piece: what one job does, and one transaction.
PIECE = 500
#: Pieces that are written at once.
_WRITTEN = 20


def store_import(organization: Organization, file: BinaryIO, *, name: str, size: int, actor: User) -> LeadImport:
    """Keep the rows of a file, with what its columns probably mean; raises `UnreadableFile`."""
    table = read_table(file)
    digest = hashlib.sha256(json.dumps(table.header).encode()).hexdigest()
    lead_import = LeadImport(
        organization=organization,
        created_by=actor,
        file_name=readable(PurePath(name.replace("\\", "/")).name)[:200],
        size=size,
        encoding=table.encoding,
        delimiter=table.delimiter,
        header=[readable(one) for one in table.header],
        header_hash=digest,
        mapping=guessed(table.header),
        language=translation.get_language() or organization.language,
    )
    before = _last_like(lead_import)
    if before is not None:
        for field in ("mapping", "known", "source", "notify", "enrich"):
            setattr(lead_import, field, getattr(before, field))
    lead_import.save(force_insert=True)
    try:
        for pieces in _batched(_pieces(lead_import, table.rows), _WRITTEN):
            ImportPiece.objects.bulk_create(pieces)
            lead_import.rows += sum(piece.rows for piece in pieces)
        if not lead_import.rows:
            raise UnreadableFile(_("The file has names of columns, but no rows."))
        with transaction.atomic():
            lead_import.save(update_fields=["rows"])
            _log(actor, lead_import, ADDITION, "uploaded")
    except BaseException:
        lead_import.delete()
        raise
    return lead_import


def choose_mapping(
    lead_import: LeadImport, mapping: list[str], choices: Mapping[str, Any], *, assign: bool
) -> LeadImport:
    """Keep what the columns mean and what was chosen; raises `ValidationError`.

    `assign`: whether who chooses may give leads to somebody.
    """
    check_mapping(lead_import, mapping, str(choices.get("consent_evidence") or ""))
    assignee = choices.get("assignee")
    if (assignee or "assignee" in mapping) and not assign:
        raise ValidationError(_("You may not assign leads."))
    if assignee and not is_active_member(assignee.pk, lead_import.organization_id):
        raise ValidationError(_("Leads can only be assigned to active members of their organization."))
    with transaction.atomic():
        row = LeadImport.objects.select_for_update().get(pk=lead_import.pk)
        if row.state != ImportState.DRAFT:
            raise ValidationError(_("The import has been started."))
        row.mapping = mapping
        for name in ("known", "source", "assignee", "consent_evidence", "notify", "enrich"):
            setattr(row, name, choices[name])
        row.language = translation.get_language() or row.language
        row.save()
    return row


def check_mapping(lead_import: LeadImport, mapping: list[str], evidence: str) -> None:
    """Raise `ValidationError` where no lead can come of such columns; `evidence`: how all of them agreed, if known."""
    named = [name for name in mapping if name]
    if len(mapping) != len(lead_import.header) or not set(named) <= set(FIELDS):
        raise ValidationError(_("The columns are not those of the file. Open this page again."))
    for name in named:
        if named.count(name) > 1:
            raise ValidationError(_("“%(field)s” is chosen for two columns."), params={"field": FIELDS[name]})
    if not set(named) & set(NAMES):
        raise ValidationError(_("Choose the column that holds the name."))
    if not set(named) & {"email", "phone"}:
        raise ValidationError(_("Choose the column that holds the email address or the phone number."))
    if "name" in named and {"first_name", "last_name"} & set(named):
        raise ValidationError(_("Choose either the whole name, or first and last name."))
    if set(named) & set(CONSENTS) and not evidence and "consent_wording" not in named:
        raise ValidationError(
            _("Say how they agreed, or choose the column that does. Without that consent can’t count.")
        )


def start_import(import_id: UUID, *, actor: User) -> bool:
    """Begin, or go on with one that stopped early; False if it runs or has ended.

    Raises `ValidationError` where its columns make no lead or its upload was broken off, `LeadImport.DoesNotExist`.
    """
    with transaction.atomic():
        # locked: a second click finds the first one's state
        lead_import = LeadImport.objects.select_for_update(of=("self",)).get(pk=import_id)
        if lead_import.state not in {ImportState.DRAFT, ImportState.FAILED}:
            return False
        if not lead_import.rows:
            raise ValidationError(_("The upload of this file was broken off. Remove it and upload it again."))
        check_mapping(lead_import, lead_import.mapping, lead_import.consent_evidence)
        pieces = ImportPiece.objects.filter(lead_import=lead_import, done_at__isnull=True, content__isnull=False)
        ids = list(pieces.order_by("number").values_list("pk", flat=True))
        organization_id = lead_import.organization_id
        task = tasks.import_leads.using(tags=[lead_import.tag])
        last = tasks.finish_import.using(tags=[lead_import.tag]).bind(import_id, organization_id)
        with Batch(lead_import.tag, on_complete=last) as batch:
            batch.add_many(task.bind(piece_id, organization_id) for piece_id in ids)
        lead_import.state, lead_import.batch_id = ImportState.RUNNING, batch.id
        lead_import.started_at, lead_import.ended_at = timezone.now(), None
        lead_import.save(update_fields=["state", "batch_id", "started_at", "ended_at"])
        _log(actor, lead_import, CHANGE, "started")
    return True


def cancel_import(import_id: UUID, *, actor: User) -> bool:
    """Do no more of it: what is done stays. False if it does not run. Raises `LeadImport.DoesNotExist`."""
    with transaction.atomic():
        lead_import = LeadImport.objects.select_for_update(of=("self",)).get(pk=import_id)
        if lead_import.state != ImportState.RUNNING or lead_import.batch_id is None:
            return False
        lead_import.state, lead_import.cancelled_by = ImportState.CANCELLING, actor
        lead_import.save(update_fields=["state", "cancelled_by"])
        _log(actor, lead_import, CHANGE, "cancelled")
        Batch.get(lead_import.batch_id).cancel()
    return True


def discard_import(import_id: UUID, *, actor: User) -> bool:
    """Remove a file that was not started, with its rows; False if it was. Raises `LeadImport.DoesNotExist`."""
    with transaction.atomic():
        lead_import = LeadImport.objects.select_for_update(of=("self",)).get(pk=import_id)
        if lead_import.state != ImportState.DRAFT:
            return False
        _log(actor, lead_import, DELETION, "removed")
        lead_import.delete()
    return True


def _last_like(lead_import: LeadImport) -> LeadImport | None:
    """The organization's last import of a file with the same columns."""
    same = LeadImport.objects.filter(
        organization_id=lead_import.organization_id, header_hash=lead_import.header_hash, started_at__isnull=False
    )
    return same.order_by("-started_at").first()


def _pieces(lead_import: LeadImport, rows: Iterator[tuple[int, list[str]]]) -> Iterator[ImportPiece]:
    for number, piece in enumerate(_batched(rows, PIECE)):
        content = packed([[line, cells] for line, cells in piece])
        yield ImportPiece(lead_import=lead_import, number=number, rows=len(piece), content=content)


def _batched(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while piece := list(islice(items, size)):
        yield piece


def _log(person: User, lead_import: LeadImport, flag: int, text: str) -> None:
    LogEntry.objects.log_actions(
        user_id=person.pk, queryset=[lead_import], action_flag=flag, change_message=text, single_object=True
    )
