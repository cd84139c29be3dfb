"""A file as rows of cells: which encoding, which separator, whether it has a header. Nothing is guessed silently."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, cast

from django.utils.formats import number_format
from django.utils.translation import gettext as _

#: Columns and rows of a file, and characters of a cell (the csv module's own limit, which is one of the process).
MOST_COLUMNS, MOST_ROWS, LONGEST_CELL = 200, 500_000, 131_072
LONGEST_NAME = 200
DELIMITERS = (",", ";", "\t")
#: What is no text by how it begins.
_OTHERS = {
    b"PK\x03\x04": "ZIP, Excel (.xlsx)",
    b"\xd0\xcf\x11\xe0": "Excel (.xls)",
    b"%PDF": "PDF",
    b"\x1f\x8b": "gzip",
    b"{\\rtf": "RTF",
}
_SAMPLE = 65_536
_SEPARATOR_LINE = re.compile(r"^\ufeff?\"?sep=([,;\t|:^~])\"?\r?\n?$", re.IGNORECASE)
#: What no column is called: an address, or a number such as a telephone's, which is no longer than this.
_NUMBER, _DIGITS, LONGEST_NUMBER = re.compile(r"[\s+()\d.-]+\Z"), re.compile(r"\d{5}"), 60


class UnreadableFile(Exception):
    """The file is no table of text; the message says where and what to do about it."""


@dataclass(frozen=True)
class Table:
    """A file that can be read: the names of its columns, and its rows with the line on which each begins."""

    encoding: str
    delimiter: str
    header: list[str]
    rows: Iterator[tuple[int, list[str]]]


def read_table(file: BinaryIO) -> Table:
    """Find out how the file is written; the rows are read as they are asked for.

    Raises `UnreadableFile`, also while the rows are read.
    """
    encoding = _encoding_of(file)
    sample = _sample(file, encoding)
    if not sample.strip("\ufeff \t\r\n,;\"'\x00"):
        raise UnreadableFile(_("The file has no content."))
    first_line = sample.splitlines(keepends=True)[0]
    announced = _SEPARATOR_LINE.match(first_line)
    delimiter = announced[1] if announced else _delimiter_of(sample)
    file.seek(0)
    text = io.TextIOWrapper(
        io.BufferedReader(cast(io.RawIOBase, _Unclosed(file)), _SAMPLE), encoding=encoding, newline=""
    )
    lines = _lines(text, delimiter, skip=1 if announced else 0)
    try:
        line, first = next(lines)
    except StopIteration:
        raise UnreadableFile(_("The file has no content.")) from None
    if len(first) > MOST_COLUMNS:
        raise UnreadableFile(
            _("The file has %(number)s columns; at most %(most)s can be read.")
            % {"number": len(first), "most": MOST_COLUMNS}
        )
    if any(map(_is_data, first)):
        header = [_("Column %(number)s") % {"number": number + 1} for number in range(len(first))]
        return Table(encoding, delimiter, header, _with_first((line, first), lines))
    header = [
        cell.strip()[:LONGEST_NAME] or _("Column %(number)s") % {"number": number + 1}
        for number, cell in enumerate(first)
    ]
    return Table(encoding, delimiter, header, lines)


def _is_data(cell: str) -> bool:
    """Whether this is no column's name. In two looks, each as long as the cell: one that tries both is cubic."""
    if "@" in cell:
        return True
    return len(cell) <= LONGEST_NUMBER and bool(_NUMBER.match(cell) and _DIGITS.search(cell))


def _encoding_of(file: BinaryIO) -> str:
    """By its first bytes, else the first encoding in which all of it can be read."""
    file.seek(0)
    head = file.read(4_096)
    if not head:
        raise UnreadableFile(_("The file is empty."))
    for beginning, name in _OTHERS.items():
        if head.startswith(beginning):
            raise UnreadableFile(
                _("This is no CSV file but: %(kind)s. Save the table as CSV and upload that.") % {"kind": name}
            )
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _readable_in(file, "utf-16")
    if len(head) >= 4 and head[1::2].count(0) > len(head) // 3:
        return _readable_in(file, "utf-16-le")
    if len(head) >= 4 and head[0::2].count(0) > len(head) // 3:
        return _readable_in(file, "utf-16-be")
    controls = sum(byte < 32 and byte not in b"\t\r\n\x00" for byte in head)
    if controls > len(head) // 50 or head.count(0) > len(head) // 10:
        raise UnreadableFile(_("This is no text. Save the table as CSV and upload that."))
    for encoding in ("utf-8-sig", "cp1252"):
        if _can_be_read(file, encoding):
            return encoding
    raise UnreadableFile(_("The file’s encoding was not recognized. Save it as “CSV UTF-8” and upload that."))


def _readable_in(file: BinaryIO, encoding: str) -> str:
    if not _can_be_read(file, encoding):
        raise UnreadableFile(_("The file’s encoding was not recognized. Save it as “CSV UTF-8” and upload that."))
    return encoding


def _can_be_read(file: BinaryIO, encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while piece := file.read(1 << 20):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _sample(file: BinaryIO, encoding: str) -> str:
    file.seek(0)
    return codecs.getincrementaldecoder(encoding)().decode(file.read(_SAMPLE))


def _delimiter_of(sample: str) -> str:
    """The one that parts the first lines into the most columns, in as many lines as possible alike."""

    def worth(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), 50)]
        except csv.Error:
            return 0.0, 0
        width, number = Counter(width for width in widths if width).most_common(1)[0] if any(widths) else (0, 0)
        return (number / len(widths) if width > 1 else 0.0), width

    return max(DELIMITERS, key=lambda one: (worth(one)[0] > 0.5, worth(one)[1], worth(one)[0]))


def _lines(text: io.TextIOWrapper, delimiter: str, *, skip: int) -> Iterator[tuple[int, list[str]]]:
    """The rows that have something in them, each with the number of its first line."""
    # strict: a quote that is never closed must not swallow the rows behind it
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    number = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UnreadableFile(_said(error, line)) from None
        if line <= skip or not any(cell.strip() for cell in cells):
            continue
        number += 1
        if number > MOST_ROWS + 1:
            raise UnreadableFile(
                _("The file has more than %(most)s rows. Split it into several.")
                % {"most": number_format(MOST_ROWS, force_grouping=True)}
            )
        yield line, cells


def _said(error: csv.Error, line: int) -> str:
    text = str(error)
    if "field limit" in text:
        return _("Line %(line)s: a cell has more than %(most)s characters. Is a quote not closed?") % {
            "line": line,
            "most": number_format(LONGEST_CELL, force_grouping=True),
        }
    if "unexpected end" in text:
        return _("Line %(line)s: a quote is opened there and never closed.") % {"line": line}
    return _("Line %(line)s: inside a quoted cell a quote must be written twice.") % {"line": line}


def _with_first(
    first: tuple[int, list[str]], others: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from others


class _Unclosed(io.RawIOBase):
    """The file for a reader that closes what it reads: the request closes its own."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.file.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
