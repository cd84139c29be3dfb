"""A Redis that is being left: what `jobs move` needs of it beside the contract."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from ..facts import Recorded
from ..markers import Markers
from .broker import RedisBroker
from .facts import recorded
from .moments import moment, moment_or_none
from .record import read_record
from .scripts import COMMON

_ALL_RUNS = 2**15 - 1


class Waiting(NamedTuple):
    """A job that waits there; `unknown_since` as in `ClaimedJob`."""

    recorded: Recorded
    unknown_since: datetime | None


class LeftRedis(RedisBroker):
    """The broker on a server that the jobs of its namespace leave; its store is `left_store`."""

    def __init__(self, url: str, namespace: str, *, markers: Markers | None = None) -> None:
        super().__init__(url, namespace, markers=markers)
        # what `jobs move` hears of it is not refused
        self.left_store, self.store = self.store, ""

    def leave(self, queue: str) -> None:
        """Let nothing come in any more and nothing be claimed, whoever still runs with this server."""
        self._run("leave", queue, left=True)

    def reuse(self, queue: str) -> None:
        """End that."""
        self._run("leave", queue, left=False)

    def drop_adopted(self, queue: str) -> None:
        """Drop what the database's own workers hold: it is theirs already."""
        if adopted := self.adopt(queue, []):
            self.mend(queue, over=[(id, _ALL_RUNS) for id in adopted])

    def active_ids(self, queue: str) -> Sequence[UUID]:
        """The jobs that somebody runs."""
        return [UUID(bytes=id) for id in self._scripts.command("HKEYS", queue, "active")]

    def read_waiting(self, queue: str, most: int) -> Sequence[Waiting]:
        """Some of the jobs that wait; all of them in the end, if those are dropped before the next call."""
        for ids in self._lives.waiting_ids(queue):
            some = ids[:most]
            records = self._scripts.command("HMGET", queue, "jobs", *(id.bytes for id in some))
            read = [(id, read_record(raw)) for id, raw in zip(some, records, strict=True) if raw is not None]
            return [Waiting(recorded(queue, id, one), moment_or_none(one.head.unknown)) for id, one in read]
        return []

    def drop(self, queue: str, jobs: Sequence[tuple[UUID, int]]) -> None:
        """Forget jobs, by id and run, that are kept elsewhere from now on; the history is told nothing."""
        self.mend(queue, over=jobs)

    def grants(self, queue: str) -> Sequence[datetime]:
        """Until when each start had to begin that the rate limit granted."""
        found = self._scripts.command("ZRANGE", queue, "pace", 0, -1, "WITHSCORES")
        return [moment(float(score)) for score in found[1::2]]

    def group_grants(self, queue: str) -> Sequence[tuple[str, datetime]]:
        """The same of the rates of its groups, each with the group's name."""
        found = [grant.partition(b"\0") for grant in self._scripts.command("ZRANGE", queue, "group_pace", 0, -1)]
        return [(name.decode(), moment(int.from_bytes(rest[:7], "big"))) for name, _nul, rest in found]

    def generation(self, queue: str) -> str:
        """The life of what is held of the queue."""
        return self.life(queue, "", "").generation

    def is_known(self) -> bool:
        """Whether a process or a job of this namespace was ever here."""
        return bool(self.queues()) or bool(self._scripts.command("EXISTS", COMMON, "processes"))
