"""Cells of the CSV files that go out: no spreadsheet may take one for a formula."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

#: How a formula begins, also where somebody has marked it as text before.
_FORMULA = re.compile(r"^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_MARKED = re.compile(r"^'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def as_text(cell: str) -> str:
    """The cell, marked as text where a spreadsheet would calculate it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unmarked(cell: str) -> str:
    """The cell without that mark."""
    return cell[1:] if _MARKED.match(cell) else cell


class _Echo:
    """What csv writes to comes back as the result of writing."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[Sequence[Any]], *, delimiter: str = ",", bom: bool = False) -> Iterator[str]:
    """The rows as lines of a file, every cell neutralised."""
    writer = csv.writer(_Echo(), delimiter=delimiter)
    if bom:
        yield "\ufeff"
    for row in rows:
        yield writer.writerow([as_text(str(cell)) for cell in row])
