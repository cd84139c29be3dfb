"""What the contract says of a store that is not the rows: nothing to do where the rows are the queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from ...states import State
from ..facts import FactPage, Lag
from ..records import Healed, Life, LivingRow, NewJob


class OneStore:
    """The queue and its history are one: nothing is told, nothing can be lost, nothing is held elsewhere."""

    def adopt(self, queue: str, held: Sequence[NewJob], grants: Sequence[datetime] = ()) -> frozenset[UUID]:
        """Nothing: another broker's jobs become rows."""
        return frozenset()

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
    ) -> FactPage | None:
        """None: the rows are the queue."""
        return None

    def forget_facts(self, queue: str, generation: str, last: str) -> None:
        """Nothing: there are none."""

    def lag(self, queue: str, after: str) -> Lag | None:
        """None: the rows are the queue."""
        return None

    def life(self, queue: str, generation: str, after: str) -> Life | None:
        """None: the rows are the queue."""
        return None

    def mend(
        self, queue: str, live: Sequence[LivingRow] = (), over: Sequence[tuple[UUID, int]] = (), done: str = ""
    ) -> frozenset[UUID]:
        """Nothing: the rows are the queue."""
        return frozenset()

    def heal(self, queue: str) -> Healed:
        """Nothing: the rows are the queue."""
        return Healed()

    def live_ids(self, queue: str) -> Iterator[Sequence[UUID]]:
        """None: nothing can be lost."""
        return iter(())

    def examine(self, queue: str, *, mend: bool = False) -> Mapping[str, int]:
        """Nothing: what is wrong with rows, the operation looks for itself."""
        return {}

    def wipe(self, queue: str, *, force: bool = False, whole: bool = False) -> int | None:
        """0: the rows are all there is."""
        return 0
