"""What a campaign's text may say of each lead: `{name}`, or `{company|your company}` with words for who has none."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from leads.models import Lead

_FIELD = re.compile(r"\{(\w+)(?:\|([^{}\n]*))?\}")
_VALUES: dict[str, Callable[[Lead], str]] = {
    "name": lambda lead: lead.name,
    "first_name": lambda lead: lead.name.split()[0] if lead.name.strip() else "",
    "company": lambda lead: lead.company,
    "organization": lambda lead: lead.organization.name,
}
#: What can be inserted, in words.
FIELDS: dict[str, str | Promise] = {
    "name": _("the lead’s full name"),
    "first_name": _("the lead’s first name"),
    "company": _("the lead’s company"),
    "organization": _("your organization’s name"),
}


def filled(text: str, lead: Lead) -> str:
    """The text as this lead reads it; plain text, to be escaped where it becomes HTML."""

    def value(found: re.Match[str]) -> str:
        of = _VALUES.get(found[1])
        return found[0] if of is None else " ".join(of(lead).split()) or found[2] or ""

    return _FIELD.sub(value, text)


def unknown_fields(text: str) -> list[str]:
    """What stands in braces in the text and cannot be inserted, as it is written."""
    return [found[0] for found in _FIELD.finditer(text) if found[1] not in _VALUES]
