"""One person's rows taken out of the files that are kept: those that wait, and the wrong ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import Q

from ..erasing import Found
from ..models import ImportPiece, LeadImport, packed, unpacked

#: What stands in place of a file's name that names the person.
ERASED = "erased"
#: A number is told again by so many of its last digits, however the country before it is written.
_DIGITS = 8


def empty_import_names(found: Found) -> int:
    """A file's name that names the person."""
    files = LeadImport.objects.filter(organization_id=found.lead.organization_id)
    texts = [text.casefold() for text in found.long_texts]
    named = [
        file.pk
        for file in files.exclude(file_name__in=["", ERASED]).only("file_name")
        if any(text in file.file_name.casefold() for text in texts)
    ]
    return files.filter(pk__in=named).update(file_name=ERASED)


def empty_import_rows(found: Found) -> int:
    """The person's rows in files of the organization; the other rows stay."""
    pieces = ImportPiece.objects.filter(lead_import__organization_id=found.lead.organization_id)
    kept = pieces.filter(Q(content__isnull=False) | Q(wrong_rows__isnull=False))
    return sum(_without(key, found) for key in list(kept.values_list("pk", flat=True)))


def _without(key: Any, found: Found) -> int:
    """Rewrite a piece if it holds a row of the person; how many rows it held."""
    is_theirs = _mentions(found)
    piece = ImportPiece.objects.filter(pk=key).first()
    if piece is None or not any(is_theirs(row[1]) for row in _rows(piece)):
        return 0
    with transaction.atomic():
        # again, with the piece held: its job may have ended meanwhile
        piece = ImportPiece.objects.select_for_update().filter(pk=key).first()
        if piece is None:
            return 0
        number = 0
        for column in ("content", "wrong_rows"):
            rows = unpacked(getattr(piece, column))
            left = [row for row in rows if not is_theirs(row[1])]
            if len(left) < len(rows):
                number += len(rows) - len(left)
                setattr(piece, column, packed(left))
        if piece.done_at is None:
            # their rows become no leads: they count as skipped when the rest is done
            piece.erased += number
        piece.save(update_fields=["content", "wrong_rows", "erased"])
    return number


def _rows(piece: ImportPiece) -> list[Any]:
    return [*unpacked(piece.content), *unpacked(piece.wrong_rows)]


def _mentions(found: Found) -> Callable[[list[str]], bool]:
    """Whether some cell names the person: by address or number, however it is written, or by a long name alone."""
    address = found.lead.email.casefold()
    number = re.sub(r"\D", "", found.lead.phone)[-_DIGITS:]
    names = {found.lead.name.casefold().strip()} - {""}

    def of(cells: list[str]) -> bool:
        texts = [cell.casefold() for cell in cells]
        if address and any(address in text for text in texts):
            return True
        if len(number) == _DIGITS and any(number in re.sub(r"\D", "", text) for text in texts):
            return True
        # namesakes who are somebody else have an address or a number of their own
        return any(text.strip() in names for text in texts) and not any("@" in text for text in texts)

    return of
