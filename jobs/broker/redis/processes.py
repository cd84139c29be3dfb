"""What the processes tell of themselves, as Redis keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from ... import clock
from ..records import ProcessRecord, SeenProcess
from .moments import moment

#: Seconds after which nothing remains of a process that is with no queue: one that registers is noted before it is.
VANISHED = 60.0


def write_process(process: ProcessRecord) -> str:
    """What else is told of a process beside its label."""
    return json.dumps([process.kind, process.host, process.pid, process.concurrency])


def seen_process(id: UUID, queue: str, told: Sequence[Any], trouble: bytes, dropped: bytes) -> SeenProcess:
    """A process by what `processes.lua` answers, and by its last reports: a moment and what there was to say."""
    until, renewed, _lease, _label, words, since, offset, *paused = told
    kind, host, pid, concurrency = json.loads(words)
    since_trouble, _, trouble_text = trouble.decode().partition(" ")
    at_dropped, _, number = dropped.decode().partition(" ")
    return SeenProcess(
        record=ProcessRecord(id, kind, queue, host, pid, concurrency),
        started_at=moment(since),
        renewed_at=moment(renewed),
        lease_until=moment(until),
        clock_offset=offset / 1_000_000,
        trouble=trouble_text,
        trouble_since=moment(int(since_trouble)) if since_trouble else None,
        dropped=int(number or 0),
        dropped_at=moment(int(at_dropped)) if at_dropped else None,
        paused=paused == [True],
    )


class Vanished:
    """The processes of which notes remain, and no more: whoever reaped them died, or never heard that it had."""

    def __init__(self) -> None:
        self._since: dict[UUID, float] = {}

    def look(self, notes: Iterable[bytes], known: set[UUID]) -> list[UUID]:
        """Those of whom nothing else has been known for a minute."""
        now = clock.monotonic()
        ids = {UUID(note[:32].decode()) for note in notes} - known
        self._since = {id: self._since.get(id, now) for id in ids}
        return [id for id, since in self._since.items() if now - since >= VANISHED]
