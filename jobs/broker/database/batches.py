"""The rows that say which jobs are of a batch; their ends are decided with those of edges (`edges.py`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

from .edges import note_awaited
from .rows import Cursor
from .statements import load_statements


def insert_members(cursor: Cursor, vendor: str, batch: UUID, jobs: Sequence[UUID], role: str = "") -> None:
    """Note of jobs that they are of a batch and that it waits for them; with a `role`, that they follow its end."""
    params = {"batch": batch.hex, "ids": json.dumps([id.hex for id in jobs]), "role": role}
    cursor.execute(load_statements(vendor)["insert_members"], params)
    if not role:
        note_awaited(cursor, vendor, jobs)


def lock_open_batch(cursor: Cursor, vendor: str, id: UUID) -> bool:
    """Let a batch not end before the open transaction does; False: it has ended, or is cancelled."""
    cursor.execute(load_statements(vendor)["lock_open_batch"], {"id": id.hex})
    return bool(cursor.fetchall())
