"""What a row says, checked by the same rules as what comes in by form or API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cache
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.members import active_members

from ..consent import Agreement
from ..csv_cells import unmarked
from ..models import ConsentPurpose, ConsentSource, LeadImport, LeadSource, LeadStatus
from ..normalise import key_of
from ..validation import CONSENT_FIELDS, ApiLeadForm, field_errors
from .fields import FIELDS, NAMES, plain

_YES = frozenset(["yes", "y", "true", "t", "1", "x", "sim", "s", "verdadeiro", "v", "on", "ok"])
_NO = frozenset(["no", "n", "false", "f", "0", "nao", "falso", "off", "-"]) | {""}
_SYMBOLS = {"r$": "BRL", "us$": "USD", "$": "USD", "€": "EUR", "£": "GBP"}
_THOUSANDS = re.compile(r"^-?\d{1,3}([.,])\d{3}(\1\d{3})*$")
#: What is read from the row before the form sees it, or beside it.
_BESIDE = ("first_name", "last_name", "assignee", "consent_at", *CONSENT_FIELDS.values())


@dataclass
class ReadRow:
    """One row as it was understood: the lead's fields, what it agreed to, or what is wrong."""

    line: int
    cells: list[str]
    fields: dict[str, Any] = field(default_factory=dict)
    agreements: list[Agreement] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    key: str | None = None


class _RowForm(ApiLeadForm):
    """`ApiLeadForm` for row after row, with the fields that the file has."""

    status = forms.ChoiceField(choices=LeadStatus.choices, required=False)

    def read(self, data: Mapping[str, Any]) -> bool:
        """Check another row; whether it is right."""
        self.data = data
        self.full_clean()
        return not self.errors


class RowReader:
    """Reads the rows of one import; reads the organization's members once."""

    def __init__(self, lead_import: LeadImport) -> None:
        self.lead_import = lead_import
        self.columns = {name: index for index, name in enumerate(lead_import.mapping) if name}
        self.width = len(lead_import.header)
        self.form = _RowForm({}, organization=lead_import.organization)
        kept = {"name", "email", *self.columns} - set(_BESIDE)
        self.form.fields = {name: one for name, one in self.form.fields.items() if name in kept}
        self.decimal_comma = lead_import.language.startswith("pt") or lead_import.delimiter == ";"
        self.members: dict[str, UUID] = {}
        if "assignee" in self.columns:
            rows = active_members(lead_import.organization_id).values_list("user__email", "user_id")
            self.members = {email.lower(): user_id for email, user_id in rows if email}

    def read_all(self, rows: Sequence[Sequence[Any]]) -> list[ReadRow]:
        """The rows of a piece, with what is wrong with them in the language of who imports them."""
        with translation.override(self.lead_import.language):
            return [self._read(line, cells) for line, cells in rows]

    def _read(self, line: int, cells: list[str]) -> ReadRow:
        row = ReadRow(line, cells)
        if len(cells) > self.width and any(cell.strip() for cell in cells[self.width :]):
            text = _("The row has %(cells)s cells, the header has %(columns)s.")
            row.errors.append(text % {"cells": len(cells), "columns": self.width})
            return row
        given = {name: unmarked(cells[at]).strip() for name, at in self.columns.items() if at < len(cells)}
        if "name" not in self.columns:
            given["name"] = " ".join(part for name in NAMES if (part := given.get(name)))
        self._convert(given)
        if not self.form.read(given):
            row.errors += self._told(field_errors(self.form))
        cleaned = self.form.cleaned_data
        row.fields = {
            name: value
            for name in self.form.fields
            if name != "consent_wording" and (value := cleaned.get(name)) not in ("", None)
        }
        self._assignee(row, given)
        self._agreements(row, given)
        if not row.errors and (address := row.fields.get("email")):
            row.key = key_of(address)
        return row

    def _convert(self, given: dict[str, str]) -> None:
        """Write values as the form takes them."""
        for name in ("status", "source"):
            if text := given.get(name):
                given[name] = _codes(name).get(plain(text), text)
        if text := given.get("currency"):
            given["currency"] = _SYMBOLS.get(text.lower(), text.upper())
        if text := given.get("value"):
            given["value"] = self._number(text)

    def _number(self, text: str) -> str:
        """1.234,56 and 1,234.56 as 1234.56; where it may be either, as the file's language writes it."""
        number = re.sub(r"[^\d.,-]", "", text)
        decimal = max(".,", key=number.rfind)
        if not {".", ","} <= set(number) and (found := _THOUSANDS.match(number)):
            is_thousands = number.count(found[1]) > 1 or (found[1] == ".") == self.decimal_comma
            decimal = {".": ",", ",": "."}[found[1]] if is_thousands else found[1]
        other = "," if decimal == "." else "."
        return number.replace(other, "").replace(decimal, ".") or text

    def _assignee(self, row: ReadRow, given: Mapping[str, str]) -> None:
        if text := given.get("assignee"):
            user_id = self.members.get(text.lower())
            if user_id is None:
                row.errors.append(_("Assignee: %(text)s is no active member.") % {"text": text[:100]})
            else:
                row.fields["assignee_id"] = user_id

    def _agreements(self, row: ReadRow, given: Mapping[str, str]) -> None:
        """What the row says was agreed to. It counts with how it is known only: nobody's consent is made up."""
        purposes = []
        for purpose, name in CONSENT_FIELDS.items():
            answer = plain(given.get(name, "")) if name in self.columns else ""
            if answer in _YES:
                purposes.append(purpose)
            elif answer not in _NO:
                row.errors.append(f"{FIELDS[name]}: " + _("expected yes or no, not “%s”.") % given[name][:100])
        if not purposes:
            return
        evidence = given.get("consent_wording") or self.lead_import.consent_evidence
        at = self._consent_time(row, given.get("consent_at", ""))
        if not evidence:
            row.errors.append(_("The row does not say how consent was given."))
        row.agreements = [Agreement(ConsentPurpose(one), ConsentSource.IMPORT, evidence, at=at) for one in purposes]

    def _consent_time(self, row: ReadRow, text: str) -> datetime | None:
        if not text:
            return None
        try:
            at = _moment(text)
        except (ValidationError, ValueError, OverflowError):
            row.errors.append(_("When they agreed: “%s” is no date.") % text[:100])
            return None
        if at > timezone.now():
            row.errors.append(_("The time of consent is in the future."))
        return at

    def _told(self, errors: dict[str, list[str]]) -> list[str]:
        return [
            f"{str(FIELDS[name])}: {text}" if name in FIELDS else text
            for name, texts in errors.items()
            for text in texts
        ]


def _moment(text: str) -> datetime:
    """A date, or a date with a time, as ISO 8601 or the language writes it."""
    try:
        found: date | datetime = datetime.fromisoformat(text)
    except ValueError:
        try:
            found = forms.DateTimeField(localize=True).clean(text)
        except ValidationError:
            found = forms.DateField(localize=True).clean(text)
    if not isinstance(found, datetime):
        found = datetime.combine(found, time())
    return found if timezone.is_aware(found) else timezone.make_aware(found)


@cache
def _codes(name: str) -> dict[str, str]:
    """What stands for each choice: its code and its label in every language."""
    choices = LeadStatus if name == "status" else LeadSource
    codes: dict[str, str] = {}
    for language, _label in settings.LANGUAGES:
        with translation.override(language):
            codes |= {plain(str(label)): code for code, label in choices.choices}
    return codes | {plain(code): code for code in choices.values}
