"""Due jobs as a claim by turns reads them, and the groups that they sit with in the round."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from .values import id_of, moment_of


class Waiting(NamedTuple):
    """A due job: where it stands in its group, in which lane, and its tags as they are stored."""

    ready_at: datetime
    id: UUID
    lane: str
    tags: str = ""


@dataclass(slots=True)
class Seat:
    """A group in the round: its first due jobs in their order, and its lanes, if there may be more behind them."""

    group: str
    rows: deque[Waiting]
    lanes: tuple[str, ...] = ()


def waiting(row: Sequence[Any]) -> Waiting:
    """The due job of a row."""
    id, lane, ready_at, tags = row[:4]
    return Waiting(moment_of(ready_at), id_of(id), lane, tags)
