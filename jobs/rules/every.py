"""A tick every so many seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..errors import InvalidPolicy
from ..policy import ONE_YEAR
from .rule import Rule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Every(Rule):
    """A tick every so many `seconds` (whole ones, or a timedelta), from 1 to a year.

    They are counted from `start`, else from 1970-01-01T00:00Z: `Every(300)` ticks at :00, :05, :10 … of every hour,
    and no restart moves that. The options are those of `Rule`. Raises `InvalidPolicy`.
    """

    seconds: int | timedelta

    def __post_init__(self) -> None:
        value = self.seconds.total_seconds() if isinstance(self.seconds, timedelta) else self.seconds
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= ONE_YEAR or value % 1:
            raise InvalidPolicy(
                f"Every({self.seconds!r}): expected whole seconds, or a timedelta of such, from 1 to a year"
            )
        object.__setattr__(self, "seconds", int(value))
        super().__post_init__()

    @property
    def spelling(self) -> str:
        """The rule in the fewest letters."""
        return f"every {self.seconds} s"

    @property
    def step(self) -> timedelta:
        """The time from one tick to the next."""
        return self.seconds if isinstance(self.seconds, timedelta) else timedelta(seconds=self.seconds)

    def _after(self, moment: datetime, until: datetime | None) -> datetime:
        first = self._first_second or EPOCH
        return first + max(0, (moment - first) // self.step + 1) * self.step
