"""Whose data an erasure takes out of the jobs, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from ..define.reference import object_reference

#: Shorter texts are not searched for: they would be found in other people's errors.
SHORTEST_TEXT = 6


@dataclass(frozen=True)
class Subject:
    """An object whose jobs are to be emptied: its model's label, its primary key as text.

    `parameter` is what tasks call its id; without one, the model's name and `_id`.
    """

    label: str
    id: str
    parameter: str = ""

    def __post_init__(self) -> None:
        object_reference((self.label, self.id))
        if not self.parameter:
            object.__setattr__(self, "parameter", f"{self.label.rpartition('.')[2]}_id")


@dataclass(frozen=True)
class Erased:
    """What an erasure did.

    `jobs`: rows of jobs that were emptied; `cancelled`: those of them that had waited or were dead letters; `mentions`:
    other jobs and attempts from whose errors a text was taken; `running`: jobs that were asked to cancel and have not
    ended, so that the erasure must be repeated; `rows`: what the product erased, by kind.
    """

    jobs: int = 0
    cancelled: int = 0
    mentions: int = 0
    running: tuple[UUID, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
