"""What a submission says, in words for the people who work with its lead."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.utils.formats import number_format
from django.utils.text import capfirst

from .models import Lead, Submission

#: What is kept of a submission, in the order in which it is shown.
FIELDS = ("name", "email", "phone", "company", "job_title", "value", "currency", "message")


def content_of(fields: dict[str, Any]) -> dict[str, str]:
    """What is kept of a submission's valid fields: texts, and none that is empty."""
    return {name: str(fields[name]) for name in FIELDS if fields.get(name) not in {None, ""}}


def message_of(submission: Submission) -> str:
    """The text that was written."""
    return str(submission.content.get("message", ""))


def news_of(submission: Submission, lead: Lead) -> list[tuple[str, str]]:
    """What the submission gives that is not what the lead's row holds, each with its label; without the message."""
    known = content_of({name: getattr(lead, name) for name in FIELDS})
    content = submission.content
    changed = [name for name in FIELDS if name in content and content[name] != known.get(name)]
    shown = [name for name in changed if name not in {"message", "currency", "value"}]
    news = [(label_of(lead, name), str(content[name])) for name in shown]
    if {"value", "currency"} & set(changed) and "value" in content:
        news.append((label_of(lead, "value"), amount(content["value"], content.get("currency", ""))))
    return news


def amount(value: Any, currency: str) -> str:
    """A sum of money as the reader's language writes it."""
    return f"{number_format(value, 2, use_l10n=True, force_grouping=True)} {currency}".strip()


def label_of(model: Model | type[Model], name: str) -> str:
    """What a field is called, as a label."""
    return str(capfirst(model._meta.get_field(name).verbose_name))  # type: ignore[union-attr]
