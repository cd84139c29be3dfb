"""What `leads` itself holds of a lead, and how it is emptied."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import F, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from jobs import Subject, mentions

from . import normalise
from .erasing import PIECE, ErasurePart, Found, change_in_pieces, register_part
from .imports.erasing import empty_import_names, empty_import_rows
from .models import ConsentRecord, CrmDelivery, Lead, Note, Submission, SubmissionState
from .validation import UTM_FIELDS

#: What stands in the admin's log in place of an erased object's name.
ERASED = "erased"
_EMPTY_BODY: dict[str, Any] = {
    **{"body": "", "content": {}, "locale": "", "errors": {}, "problem": "", "answer": None},
    **{"idempotency_key": None, "body_hash": ""},
}
_TEXTS = ("name", "email", "phone", "company", "job_title", "message", "currency", "time_zone", "locale", *UTM_FIELDS)
_OTHERS: dict[str, Any] = {
    **{"name_key": "", "email_key": None, "value": None, "score_reasons": [], "enrichment": {}},
    **{"request_consent_at": None, "marketing_consent_at": None},
    **{"score_falls_at": None, "stale_at": None},
}


def empty_lead(found: Found) -> int:
    """The lead's row: status, score, source, assignee and times stay."""
    rows = Lead.objects.filter(pk=found.lead.pk)
    return rows.update(**dict.fromkeys(_TEXTS, ""), **_OTHERS, version=F("version") + 1)


def delete_notes(found: Found) -> int:
    """What people wrote about the lead."""
    return Note.objects.filter(lead=found.lead).delete()[0]


def empty_submissions(found: Found) -> int:
    """What the lead sent: the body, what was wrong with it, the answer, and all that could tell it again."""
    return Submission.objects.filter(lead=found.lead).update(**_EMPTY_BODY)


def empty_stray_submissions(found: Found) -> int:
    """What the lead sent before, and never became a lead: invalid, failed, or of a lead that was deleted."""
    strays = Submission.objects.filter(organization_id=found.lead.organization_id, lead__isnull=True).exclude(body="")
    return change_in_pieces(strays, _keys_of(strays, found), _empty_strays)


def empty_deliveries(found: Found) -> int:
    """What went to the CRM; the host it went to and its answer's number stay."""
    rows = CrmDelivery.objects.filter(lead=found.lead)
    for row in rows.exclude(custom_fields={}):
        # a hash of few values can be guessed; the row's own id keeps the unique key unique
        rows.filter(pk=row.pk).update(custom_fields={}, custom_fields_hash=row.pk.hex)
    return CrmDelivery.withdraw(rows, payload=None, response_body="")


def empty_consents(found: Found) -> int:
    """The words that a person typed. What was agreed to, when and how, stays as a proof (the address's keyed hash)."""
    return ConsentRecord.objects.filter(lead=found.lead).empty_wordings()


def empty_admin_log(found: Found) -> int:
    """What the admin's log calls these objects, and what it says of them; that somebody did something stays."""
    conditions = [
        Q(content_type=ContentType.objects.get_by_natural_key(*label.split(".")), object_id__in=ids)
        for label, ids in _by_label(found.subjects).items()
    ]
    for text in found.long_texts:
        # what was changed stands there as JSON, escaped
        ways = {text, json.dumps(text)[1:-1]}
        conditions += [Q(object_repr__icontains=text), *(Q(change_message__icontains=way) for way in ways)]
    rows = LogEntry.objects.filter(reduce(or_, conditions)).exclude(object_repr=ERASED)
    keys = rows.values_list("pk", flat=True)
    return change_in_pieces(rows, keys, lambda piece: piece.update(object_repr=ERASED, change_message=""))


def subjects_of(lead: Lead) -> Iterable[Subject]:
    """The lead's rows as jobs and the admin's log know them."""
    for model in (Submission, CrmDelivery, Note):
        for pk in model._default_manager.filter(lead=lead).values_list("pk", flat=True):
            yield Subject(model._meta.label_lower, str(pk))


def register() -> None:
    """Register the parts; called once, when the app is ready."""
    for part in (
        ErasurePart("leads.lead", empty_lead, subjects=subjects_of),
        ErasurePart("leads.note", delete_notes),
        ErasurePart("leads.submission", empty_submissions, empty_stray_submissions),
        ErasurePart("leads.crmdelivery", empty_deliveries),
        ErasurePart("leads.leadimport", sweep=empty_import_names),
        ErasurePart("leads.importpiece", sweep=empty_import_rows),
        ErasurePart("leads.consentrecord", empty_consents),
        ErasurePart("admin.logentry", sweep=empty_admin_log),
    ):
        register_part(part)


def _keys_of(strays: QuerySet[Submission], found: Found) -> Iterator[UUID]:
    country = found.lead.organization.country
    # not by a cursor of the server: a pooler gives it to somebody else
    keys = list(strays.values_list("pk", flat=True))
    for start in range(0, len(keys), PIECE):
        for row in strays.filter(pk__in=keys[start : start + PIECE]).only("body"):
            if _is_of(row, found, country):
                yield row.pk


def _empty_strays(strays: QuerySet[Submission]) -> int:
    strays.exclude(state=SubmissionState.PROCESSED).update(state=SubmissionState.INVALID, processed_at=timezone.now())
    return strays.update(**_EMPTY_BODY)


def _is_of(submission: Submission, found: Found, country: str) -> bool:
    """Whether the body holds the person's address or number, however it is written or escaped."""
    if mentions(submission.body, [text for text in found.texts if "@" in text or text.startswith("+")]):
        return True
    return bool(found.lead.phone) and _phone_of(submission.body, country) == found.lead.phone


def _phone_of(body: str, country: str) -> str:
    """The phone number in a body, as leads keep it; empty if there is none."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = QueryDict(body).dict()
    given = content.get("phone") if isinstance(content, dict) else None
    try:
        return normalise.phone_number(str(given), country) if given else ""
    except ValueError:
        return ""


def _by_label(subjects: Iterable[Subject]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for subject in subjects:
        ids.setdefault(subject.label, []).append(subject.id)
    return ids
