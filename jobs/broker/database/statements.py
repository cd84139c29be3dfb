"""The SQL files of one database vendor, read once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path

#: How PostgreSQL's statements ask for the time, and what they ask in this process.
_CLOCK = "clock_timestamp()"
_clock = _CLOCK
#: What is left out where the condition `alone`, which stands twice, is to stand once: as a word, or as a number.
_ALONE = {"by_word": r" AND (?:job\.)?alone = [01]", "by_number": r"(?:NOT )?(?:job\.)?alone AND (?=(?:job\.)?alone =)"}


@cache
def load_statements(vendor: str) -> Mapping[str, str]:
    """Every statement by the name of its file."""
    return {name: _by_this_clock(text) for name, text in _read_all(vendor).items()}


@cache
def join_parts(vendor: str, folder: str, *names: str) -> str:
    """One statement, made of the files of these names in a folder of the vendor's."""
    parts = Path(__file__).with_name(vendor) / folder
    return _by_this_clock("\n".join(_without_comments((parts / f"{name}.sql").read_text("utf-8")) for name in names))


def put_clock_ahead(by: timedelta) -> None:
    """Let this process's statements read PostgreSQL's clock so far ahead: `jobs.testing.fake_time`.

    On SQLite the moment is a parameter of the statements.
    """
    global _clock
    _clock = f"(clock_timestamp() + interval '{by // timedelta(microseconds=1)} microsecond')" if by else _CLOCK
    load_statements.cache_clear()
    join_parts.cache_clear()


def _by_this_clock(text: str) -> str:
    return text if _clock == _CLOCK else text.replace(_CLOCK, _clock)


@cache
def _read_all(vendor: str) -> Mapping[str, str]:
    folder = Path(__file__).with_name(vendor)
    found = {file.stem: _without_comments(file.read_text("utf-8")) for file in sorted(folder.glob("*.sql"))}
    if vendor == "sqlite":
        for name, twice in _ALONE.items():
            found[f"count_live_jobs_{name}"] = re.sub(twice, "", found["count_live_jobs"])
    return found


def _without_comments(text: str) -> str:
    # a '%' or ':' in a comment would be taken for a parameter
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
