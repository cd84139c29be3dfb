"""The SQL files of one database vendor, read once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path


@cache
def load_statements(vendor: str) -> Mapping[str, str]:
    """Every statement by the name of its file."""
    folder = Path(__file__).with_name(vendor)
    return {file.stem: _without_comments(file.read_text("utf-8")) for file in sorted(folder.glob("*.sql"))}


@cache
def join_parts(vendor: str, folder: str, *names: str) -> str:
    """One statement, made of the files of these names in a folder of the vendor's."""
    parts = Path(__file__).with_name(vendor) / folder
    return "\n".join(_without_comments((parts / f"{name}.sql").read_text("utf-8")) for name in names)


def _without_comments(text: str) -> str:
    # a '%' or ':' in a comment would be taken for a parameter
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
