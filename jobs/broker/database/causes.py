"""What dead letters are grouped by, in their rows: written by the settle, the merge and the keeper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db.backends.base.base import BaseDatabaseWrapper

from ... import clock
from ..tally import DISCARDED, Tally
from .rows import Cursor, add_counts, block
from .statements import load_statements
from .values import MAX_REASON, moment_of, text_of


class CauseRow(msgspec.Struct, kw_only=True):
    """What is noted of one dead letter."""

    id: UUID
    run: int
    cause: str
    release: str = ""


def note_causes(cursor: Cursor, vendor: str, dead: Sequence[CauseRow]) -> None:
    """Note what these dead letters are grouped by; nothing of those that are none any more."""
    if not dead:
        return
    statement = load_statements(vendor)["note_causes"]
    if vendor == "postgresql":
        cursor.execute(statement, {"rows": msgspec.json.encode(dead).decode()})
        return
    cursor.executemany(statement, [{**msgspec.structs.asdict(one), "id": one.id.hex} for one in dead])


def list_causes(connection: BaseDatabaseWrapper, after: str, most: int) -> list[tuple[str, datetime]]:
    """The causes behind `after`, in their own order, at most so many; each with the end of its last dead letter."""
    with connection.cursor() as cursor:
        cursor.execute(load_statements(connection.vendor)["list_causes"], {"after": after, "most": most})
        return [(cause, moment_of(last_at)) for cause, last_at in cursor.fetchall() if last_at is not None]


def count_hours(
    connection: BaseDatabaseWrapper,
    cause: str,
    since: datetime,
    now: datetime,
    most: int,
    scopes: Sequence[str] | None = None,
) -> dict[int, int]:
    """How many of a cause's last `most` dead letters ended in each hour before `now`, by how many hours ago."""
    params: dict[str, Any] = {
        "cause": cause,
        "since": text_of(since),
        "now": text_of(now),
        "most": most,
        "scopes": None if scopes is None else json.dumps(list(scopes)),
    }
    with connection.cursor() as cursor:
        cursor.execute(load_statements(connection.vendor)["count_hours_of_cause"], params)
        return dict(cursor.fetchall())


def discard(connection: BaseDatabaseWrapper, ids: Sequence[UUID], reason: str) -> int:
    """Give up those of these jobs that are dead letters, in one transaction, and count them; returns how many.

    On every broker: a dead letter is the history's, and no broker takes up a run that it knows to have ended.
    """
    now, vendor = clock.now(), connection.vendor
    given: list[UUID] | str = list(ids) if vendor == "postgresql" else json.dumps([id.hex for id in ids])
    params: dict[str, Any] = {"ids": given, "now": text_of(now), "reason": reason[:MAX_REASON]}
    with block(connection), connection.cursor() as cursor:
        cursor.execute(load_statements(vendor)["discard_dead_letters"], params)
        given_up = cursor.fetchall()
        tallies: dict[str, Tally] = {}
        for queue, task in given_up:
            tallies.setdefault(queue, Tally()).add(task, DISCARDED)
        for queue, tally in sorted(tallies.items()):
            add_counts(cursor, vendor, queue, now, tally)
    return len(given_up)
