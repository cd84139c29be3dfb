"""What the history is told, and how much of it may wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from ... import clock
from ...states import State
from ..contract import COUNT_LIMIT
from ..facts import FactPage, Lag
from .connection import RedisServer
from .facts import page_of
from .moments import moment_or_none, span
from .scripts import COMMON, Scripts, decode
from .values import id_word

#: Seconds between two looks at how much memory the server has, and how many queues.
LOOK_AT_MEMORY = 10.0
#: Bytes of facts that one step tells.
SIZE = 1024 * 1024


class Telling:
    """The broker's part in the history."""

    #: How many bytes of facts may wait, unless a quarter of the server's memory is less; see `lua/parts/shrink.lua`.
    most_facts = 512 * 1024 * 1024

    _server: RedisServer
    _scripts: Scripts
    _most = 0
    _most_at = float("-inf")

    def read_facts(
        self,
        queue: str,
        generation: str,
        after: str,
        limit: int,
        *,
        keep: Mapping[State, int] | None = None,
        calm: float = 0.0,
        age: float = 0.0,
    ) -> FactPage:
        """The facts behind a position; see the contract."""
        ask: dict[str, Any] = {
            "generation": generation,
            "after": after,
            "limit": limit,
            "size": SIZE,
            "keep": keep or {},
        }
        return page_of(queue, self._scripts.run("read_facts", queue, **ask, calm=span(calm), age=span(age)))

    def await_ends(self, queue: str, job_ids: Sequence[UUID]) -> Mapping[UUID, State]:
        """Let the ends of these jobs be told whole; see the contract."""
        states = decode(self._scripts.run("await_ends", queue, ids=[id_word(id) for id in job_ids]))
        return {id: State(state) for id, state in zip(job_ids, states, strict=True) if state}

    def forget_facts(self, queue: str, generation: str, last: str) -> None:
        """Forget facts that the history holds; see the contract."""
        while decode(self._scripts.run("forget_facts", queue, generation=generation, last=last)):
            pass

    def lag(self, queue: str, after: str) -> Lag:
        """How far the history is behind; see the contract."""
        told = decode(self._scripts.run("lag", queue, after=after, most=COUNT_LIMIT))
        behind, number, is_more, cut, since, until = told
        return Lag(behind / 1_000_000, number, is_more, cut, moment_or_none(since), moment_or_none(until))

    def most_of_a_queue(self) -> int:
        """How many bytes of facts of one queue may wait: the queues share the bound evenly."""
        if clock.monotonic() - self._most_at >= LOOK_AT_MEMORY:
            most = min(self.most_facts, self._server.maxmemory() // 4 or self.most_facts)
            queues = {*self._scripts.command("SMEMBERS", COMMON, "queues")} - {COMMON.encode()}
            self._most, self._most_at = most // max(1, len(queues)), clock.monotonic()
        return self._most
