"""The rows and attempts that the facts of a broker outside the database make: read, written and removed in bulk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from ...states import ENDED, LIVE
from .rows import Cursor
from .statements import load_statements
from .values import id_of, moment_of, text_of

#: What a call says of a job.
_OF_A_CALL = (
    *("queue", "task", "priority", "message", "key", "timed_at", "event", "event_id"),
    *("about_type", "about_id", "parent_id", "scope", "group", "tags", "lane"),
)

#: A NUL in JSON, which PostgreSQL cannot hold; behind an escaped backslash the same letters are none.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class Row(msgspec.Struct, kw_only=True):
    """A job's row as far as facts tell of it; one that was read has only what facts may change."""

    id: UUID
    run: int
    state: str
    ready_at: datetime
    expires_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    starts: int = 0
    lost: int = 0
    token: int = 0
    result: str | None = None
    error: str = ""
    reason: str = ""
    queue: str = ""
    task: str = ""
    priority: int = 0
    message: str = ""
    key: str | None = None
    created_at: datetime | None = None
    timed_at: datetime | None = None
    event: str = ""
    event_id: UUID | None = None
    about_type: str = ""
    about_id: str = ""
    parent_id: UUID | None = None
    scope: str = ""
    group: str = ""
    tags: str = ""
    lane: str = ""
    # people, or another call for its key, have changed it: what a call says is written, too
    changed: bool = False


class AttemptRow(msgspec.Struct, kw_only=True):
    """One start of a job and how it ended."""

    job: UUID
    run: int
    outcome: str
    ended_at: datetime
    number: int | None = None
    worker: str = ""
    claimed_at: datetime | None = None
    started_at: datetime | None = None
    error: str = ""
    traceback: str = ""


def read_rows(cursor: Cursor, vendor: str, ids: Iterable[UUID]) -> dict[UUID, Row]:
    """Those of the jobs that have a row, locked where the database locks rows."""
    cursor.execute(load_statements(vendor)["read_merged"], {"ids": _ids(vendor, [id.hex for id in ids])})
    return {row.id: row for row in map(_read, cursor.fetchall())}


def set_call(row: Row, said: Row) -> None:
    """Let a row say what another one says of the call; id, state and counters stay."""
    for name in _OF_A_CALL:
        setattr(row, name, getattr(said, name))
    row.changed = True


def write_rows(cursor: Cursor, vendor: str, known: Sequence[Row], new: Sequence[Row]) -> None:
    """Write rows that were read, and new ones; those that end come first, they free the keys that others take."""
    # first: a job may have given its key away
    _write(cursor, vendor, "merge_change", [row for row in known if row.changed])
    _write(cursor, vendor, "merge_job", [row for row in known if row.state in ENDED])
    _write(cursor, vendor, "merge_job", [row for row in known if row.state not in ENDED])
    _write(cursor, vendor, "merge_new_job", [row for row in new if row.state in ENDED])
    live = [row for row in new if row.state not in ENDED]
    _leave_keys_to_their_holders(cursor, vendor, live)
    _write(cursor, vendor, "merge_new_job", live)


def _leave_keys_to_their_holders(cursor: Cursor, vendor: str, rows: Sequence[Row]) -> None:
    # the outbox knows already that its row holds the key, and the facts have not come to where this job gave it away
    for queue in sorted({row.queue for row in rows if row.key is not None}):
        keys = [row.key for row in rows if row.queue == queue and row.key is not None]
        params = {"queue": queue, "keys": json.dumps(keys), "waiting": True}
        cursor.execute(load_statements(vendor)["read_held_keys"], params)
        held = {key: id_of(id) for key, id in cursor.fetchall()}
        for row in rows:
            if row.queue == queue and held.get(row.key, row.id) != row.id:
                row.key = None


def write_attempts(cursor: Cursor, vendor: str, attempts: Sequence[AttemptRow]) -> None:
    """Write attempts, in their order."""
    _write(cursor, vendor, "insert_attempts" if vendor == "postgresql" else "insert_attempt", attempts)


def drop(cursor: Cursor, vendor: str, run: int, ids: Sequence[str]) -> None:
    """Remove the rows, with their attempts, of jobs that ended in this run; ids are hexadecimal digits."""
    states = sorted(map(str, LIVE))
    params = {"ids": _ids(vendor, ids), "run": run, "states": states if vendor == "postgresql" else json.dumps(states)}
    cursor.execute(load_statements(vendor)["drop_jobs"], params)
    if gone := [id_of(id).hex for (id,) in cursor.fetchall()]:
        cursor.execute(load_statements(vendor)["drop_attempts"], {"ids": _ids(vendor, gone)})
        cursor.execute(load_statements(vendor)["drop_edges"], {"ids": _ids(vendor, gone)})


def _write(cursor: Cursor, vendor: str, statement: str, rows: Sequence[Row | AttemptRow]) -> None:
    if not rows:
        return
    text = load_statements(vendor)[statement]
    if vendor == "postgresql":
        # its text holds no NUL
        given = _NUL.sub(rb"\1\\\\0", msgspec.json.encode(rows))
        cursor.execute(text, {"rows": given.decode()})
    else:
        cursor.executemany(text, list(map(_values, rows)))


def _values(row: Row | AttemptRow) -> Mapping[str, Any]:
    return {name: _value(getattr(row, name)) for name in row.__struct_fields__}


def _value(value: object) -> object:
    if isinstance(value, datetime):
        return text_of(value)
    return value.hex if isinstance(value, UUID) else value


def _ids(vendor: str, ids: Sequence[str]) -> list[str] | str:
    return list(ids) if vendor == "postgresql" else json.dumps(ids)


def _read(values: Sequence[Any]) -> Row:
    id, run, state, ready, expires, started, ended, attempts, starts, lost, token, result, error, reason = values
    return Row(
        id=id_of(id),
        run=run,
        state=state,
        ready_at=moment_of(ready),
        expires_at=expires and moment_of(expires),
        started_at=started and moment_of(started),
        ended_at=ended and moment_of(ended),
        attempts=attempts,
        starts=starts,
        lost=lost,
        token=token,
        result=result,
        error=error,
        reason=reason,
    )
