"""What another call for its key, or a person, has changed of a job that lives at a broker outside the database."""

from __future__ import annotations

from collections.abc import Iterable

from ..broker.database import merged
from ..broker.database.merged import Row
from ..broker.database.rows import Cursor
from ..broker.facts import Fact, Step


def set_call(row: Row, said: Row) -> None:
    """Let a row say what another one says of the call; id, state and counters stay."""
    for name in merged.OF_A_CALL:
        setattr(row, name, getattr(said, name))


def write(cursor: Cursor, vendor: str, facts: Iterable[Fact], known: Iterable[Row]) -> None:
    """Write what facts have changed of the calls in rows that were there."""
    ids = {fact.job for fact in facts if fact.step is Step.EDITED}
    if ids:
        # of a row that has ended by now nothing was set
        merged.write_edits(cursor, vendor, [row for row in known if row.id in ids and row.queue])
