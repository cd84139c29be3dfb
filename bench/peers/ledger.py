"""What the jobs noted: one line for each run to its end, written by the job itself. All figures come from here."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: `agents/notes.py` and `agents/notes.mjs` write lines of this length: number, time of the end.
LINE = 27
#: A job that ended in the last moments before its worker was killed was in the worker's hands: no system can have
#: written its end down before it ended, and any may still have been about to.
IN_HAND = 0.1


@dataclass(frozen=True)
class Note:
    """A job ran to its end at this time, in seconds since 1970."""

    number: int
    at: float


@dataclass(frozen=True)
class Verdict:
    """What a crash did: jobs that never ran to their end, and that did twice; those that the dead had in hand apart."""

    lost: int
    twice: int
    again: int


class Ledger:
    """The file of notes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def count(self) -> int:
        """How many notes there are."""
        return self.path.stat().st_size // LINE

    def notes(self, since: int = 0) -> list[Note]:
        """The notes, without so many of the first."""
        with self.path.open("rb") as file:
            file.seek(since * LINE)
            lines = file.read().decode().splitlines()
        return [Note(int(number), float(at)) for number, at in (line.split() for line in lines)]


def verdict(numbers: Iterable[int], notes: Sequence[Note], killed_at: float) -> Verdict:
    """Hold the jobs that were enqueued against the notes; the workers were killed at this time."""
    times = Counter(note.number for note in notes)
    first: dict[int, float] = {}
    for note in sorted(notes, key=lambda each: each.at):
        first.setdefault(note.number, note.at)
    repeated = [number for number, runs in times.items() if runs > 1]
    in_hand = [number for number in repeated if killed_at - IN_HAND <= first[number] <= killed_at]
    return Verdict(
        lost=sum(number not in times for number in numbers),
        twice=len(repeated) - len(in_hand),
        again=len(in_hand),
    )


def percentile(values: Sequence[float], part: float) -> float:
    """The value that so many percent stay at or below; between two values by their distance."""
    if len(values) == 1:
        return values[0]
    ordered = sorted(values)
    place = part / 100 * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)
