"""What is counted of jobs: how many, by task and outcome, with how long they ran and had waited, in classes of time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: The classes of time, in milliseconds: each ends with its bound, and one more holds what took longer.
#: Another list makes the stored numbers wrong: they are of the class's place in it.
BOUNDS = (10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 1_800_000)
#: In place of a class: the job did not run, or it is not known for how long.
NO_START = -1
#: How a job's life can end, as far as that is counted; a dead letter that is discarded was counted when it failed.
ENDS = ("completed", "failed", "cancelled", "expired")
#: What else is counted: a start after which the job came back, that its worker died, that a dead letter was given up.
RETRIED, LOST, DISCARDED = "retried", "lost", "discarded"


class Cell(NamedTuple):
    """What is counted together; `ran` and `waited` are classes of time."""

    task: str
    outcome: str
    ran: int = NO_START
    waited: int = NO_START


class Sums(NamedTuple):
    """How many jobs, and for how many milliseconds together they ran and had been due before."""

    jobs: int
    ran_ms: int = 0
    waited_ms: int = 0


def class_of(milliseconds: int) -> int:
    """The class of a length of time."""
    return bisect_left(BOUNDS, milliseconds)


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Below how many milliseconds this share stays, by the numbers in each class, evenly spread in it; None: no number.

    What took longer than the last bound counts as that.
    """
    wanted, passed = share * sum(counts), 0
    if not wanted:
        return None
    for place, bound in enumerate(BOUNDS):
        number = counts[place] if place < len(counts) else 0
        if passed + number >= wanted:
            below = BOUNDS[place - 1] if place else 0
            return below + (bound - below) * (wanted - passed) / number
        passed += number
    return float(BOUNDS[-1])


class Tally:
    """Sums by cell; each settlement adds to one, so it is quick."""

    __slots__ = ("_cells",)

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str, int, int], list[int]] = {}

    def add(self, task: str, outcome: str, jobs: int = 1) -> None:
        """Count what has nothing to do with a start."""
        self.add_sums(Cell(task, outcome), Sums(jobs))

    def add_start(self, task: str, outcome: str, ran_ms: int, waited_ms: int) -> None:
        """Count how a start ended."""
        key = (task, outcome, bisect_left(BOUNDS, ran_ms), bisect_left(BOUNDS, waited_ms))
        known = self._cells.get(key)
        if known is None:
            self._cells[key] = [1, ran_ms, waited_ms]
        else:
            known[0] += 1
            known[1] += ran_ms
            known[2] += waited_ms

    def add_sums(self, cell: Cell, sums: Sums) -> None:
        """Add to one cell."""
        known = self._cells.setdefault(cell, [0, 0, 0])
        for place, number in enumerate(sums):
            known[place] += number

    def update(self, other: Tally) -> None:
        """Add all of another one."""
        for cell, sums in other:
            self.add_sums(cell, sums)

    def __iter__(self) -> Iterator[tuple[Cell, Sums]]:
        """The cells in an order that is the same everywhere: whoever locks several rows does it in this one."""
        for (task, outcome, ran, waited), sums in sorted(self._cells.items()):
            yield Cell(task, str(outcome), ran, waited), Sums(*sums)

    def __bool__(self) -> bool:
        return any(any(sums) for sums in self._cells.values())
