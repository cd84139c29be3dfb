"""Leads as rows of a CSV file. What goes out can come in again: `imports.fields` knows the columns by these names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .models import Lead

#: column -> its name in the file's head and on the page, in their order.
COLUMNS = {
    "name": _("Name"),
    "email": _("Email"),
    "phone": _("Phone"),
    "company": _("Company"),
    "job_title": _("Job title"),
    "status": _("Status"),
    "source": _("Source"),
    "value": _("Value"),
    "currency": _("Currency"),
    "assignee": _("Assignee"),
    "score": _("Score"),
    "message": _("Message"),
    "locale": _("Language"),
    "time_zone": _("Time zone"),
    "utm_source": "utm_source",
    "utm_medium": "utm_medium",
    "utm_campaign": "utm_campaign",
    "utm_term": "utm_term",
    "utm_content": "utm_content",
    "request_consent_at": _("May be written to about the request"),
    "marketing_consent_at": _("May be sent news and offers"),
    "unsubscribed_at": _("Unsubscribed"),
    "created_at": _("Came in"),
    "organization": _("Organization"),
    "id": _("ID"),
}
#: What is chosen at first.
USUAL = ("name", "email", "phone", "company", "job_title", "status", "source", "value", "currency", "assignee", "score")
_SPECIAL: dict[str, Callable[[Lead], object]] = {
    "status": lambda lead: lead.get_status_display(),
    "source": lambda lead: lead.get_source_display(),
    "assignee": lambda lead: lead.assignee.email if lead.assignee else "",
}


def export_rows(columns: Sequence[str], leads: Iterable[Lead]) -> Iterator[list[str]]:
    """The head, then a row for each lead; who was erased since is left out."""
    yield [str(COLUMNS[name]) for name in columns]
    for lead in leads:
        if lead.erased_at is None:
            yield [_text(lead, name) for name in columns]


def _text(lead: Lead, name: str) -> str:
    value: Any = _SPECIAL[name](lead) if name in _SPECIAL else getattr(lead, name)
    if value is None:
        return ""
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(sep=" ", timespec="seconds")
    return str(value)
