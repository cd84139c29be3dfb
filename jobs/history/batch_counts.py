"""How many jobs of a batch are where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """The jobs of a batch by state. `waiting`: those that have not started, also blocked ones, or wait for a retry."""

    total: int = 0
    waiting: int = 0
    active: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0

    @property
    def ended(self) -> int:
        """How many have ended."""
        return self.completed + self.failed + self.cancelled + self.expired

    @property
    def progress(self) -> float:
        """Which part has ended, from 0.0 to 1.0; an empty batch is done."""
        return self.ended / self.total if self.total else 1.0
