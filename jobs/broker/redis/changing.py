"""Changing a job that waits, and who has a key; see `lua/change.lua`, `lua/holder.lua`, `lua/release_key.lua`."""

from __future__ import annotations

from uuid import UUID

import msgspec

from ..changes import Change, ChangeAnswer
from .moments import micros, span
from .record import Told
from .scripts import Scripts, decode
from .values import id_word, told_as_bytes

_read_halves = msgspec.msgpack.Decoder(tuple[msgspec.Raw, msgspec.Raw]).decode
_read_told = msgspec.msgpack.Decoder(Told).decode
#: What is told of no job.
_NOTHING = b"\xc0"


class Changing:
    """The broker's part in what people change of a job."""

    _scripts: Scripts

    def promote(self, queue: str, job_id: UUID) -> bool:
        """Make a queued job due now; False: it is not queued, or is due already."""
        return bool(decode(self._scripts.run("promote", queue, id=id_word(job_id))))

    def holder(self, queue: str, key: str) -> UUID | None:
        """The job that a key is answered with; see the contract."""
        found = self._scripts.run("holder", queue, beside=[f"throttle:{key}"], key=key)
        return UUID(bytes=found) if found else None

    def release_key(self, queue: str, key: str, job_id: UUID) -> bool:
        """Let a key be free whose job this is; see the contract."""
        beside, id = [f"throttle:{key}"], id_word(job_id)
        return bool(decode(self._scripts.run("release_key", queue, beside=beside, key=key, id=id)))

    def change(self, queue: str, job_id: UUID, change: Change) -> ChangeAnswer | None:
        """Change a job that waits; see the contract."""
        told, was = b"", b""
        if change.message is not None:
            told, was = self._told_anew(queue, job_id, change.message, change.was)
        answer = self._scripts.run(
            "change",
            queue,
            told,
            was,
            id=id_word(job_id),
            delay=False if change.delay is None else span(change.delay),
            at=False if change.at is None else micros(change.at),
            priority=False if change.priority is None else change.priority,
        )
        found = decode(answer)
        return ChangeAnswer(found) if found else None

    def _told_anew(self, queue: str, job_id: UUID, message: str, was: str | None) -> tuple[bytes, bytes]:
        """What is to be told of the job with other arguments, and what was told of it so far."""
        raw = self._scripts.command("HGET", queue, "jobs", job_id.bytes)
        if raw is None:
            return b"", b""
        before = bytes(_read_halves(raw)[1])
        told = _read_told(before)
        after = told_as_bytes(msgspec.structs.replace(told, message=message))
        return after, before if was is None or told.message == was else _NOTHING
