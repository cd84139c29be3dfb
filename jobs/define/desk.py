"""What a running task tells of itself, and what it keeps for its next start: the values, and who takes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..errors import InvalidOption

#: Characters of a progress's text, of a log line, and of the name of a step or an iteration; more is cut or refused.
LONGEST_TEXT, LONGEST_LINE, LONGEST_NAME = 200, 2_000, 100


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job's task said it is: `done` of `total` (None: it does not know), in its own words `text`."""

    done: float
    total: float | None
    text: str
    at: datetime

    @property
    def share(self) -> float | None:
        """From 0 to 1; None without a total."""
        return None if self.total is None else min(max(self.done / self.total, 0.0), 1.0)

    @property
    def percent(self) -> int | None:
        """From 0 to 100, and 100 only when all is done; None without a total."""
        return None if self.share is None else int(self.share * 100)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a task logged.

    `run` and `start` say in which start of the job, `attempt` which attempt that was; `number` counts the lines of the
    start: where the first is not 1, those before it were too many to be kept.
    """

    run: int
    start: int
    attempt: int
    number: int
    at: datetime
    text: str


class Desk(Protocol):
    """Takes what a running job tells and keeps."""

    def progress(self, done: float, total: float | None, text: str) -> None:
        """Take note of how far the task is; the latest wins. Fails for no store's trouble."""

    def log(self, text: str) -> None:
        """Take a line. Fails for no store's trouble."""

    def open(self) -> Mapping[str, str]:
        """What earlier starts have kept, as JSON by name; from now on only this start may keep something.

        Raises `RetryLater` where that cannot be known, and `LeaseLost` when the job is another worker's by now.
        """

    def keep(self, name: str, value: str, *, stopped: bool = False) -> None:
        """Keep the JSON text under the name, within the transaction that is open on the jobs' database, if one is.

        `stopped`: the job goes back after it, and this start is none of those that came to nothing. Raises as `open`.
        """


class LooseDesk:
    """Stands where no job is: `task.call` in a test. What is kept, is kept for this one call."""

    def progress(self, done: float, total: float | None, text: str) -> None:
        """Nobody asks."""

    def log(self, text: str) -> None:
        """Nobody reads it."""

    def open(self) -> Mapping[str, str]:
        """There was no start before this one."""
        return {}

    def keep(self, name: str, value: str, *, stopped: bool = False) -> None:
        """There will be no start after this one."""


def check_name(where: str, name: object) -> None:
    """Raise `InvalidOption` unless it is a name of a step or an iteration."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidOption(f"{where}(name={name!r}): expected a text of 1 to {LONGEST_NAME} characters, in one line")


def check_number(name: str, value: object, *, lowest: float, more: bool = False) -> None:
    """Raise `InvalidOption` unless it is a number of at least `lowest`; with `more`, above it."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf
    if not is_number or value < lowest or (more and value == lowest) or value > 1e15:  # type: ignore[operator]
        raise InvalidOption(f"{name}={value!r}: expected a number {'above' if more else 'of at least'} {lowest:g}")
