"""What a push asks for where a key is held, and what it is answered. Frozen; durations are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class KeyMode(StrEnum):
    """What becomes of a job whose key is held by another one.

    A throttled one is a duplicate, also of a job that has ended, as long as the window of that one lasts. The others
    are never lost: where the holder waits, it takes over what the new call says, its arguments above all, and is due
    as before (rerun), when the new call says so (replace), or after so many seconds without a call (debounce). Where
    the holder runs the new job waits *behind* it, without a start until the key is free, and takes over what the
    calls after it say.
    """

    THROTTLE = "throttle"
    DEBOUNCE = "debounce"
    REPLACE = "replace"
    RERUN = "rerun"
    BEHIND = "behind"  # of a row of the outbox that waits behind a holder


@dataclass(frozen=True, slots=True)
class KeyRule:
    """A mode, with its seconds: the window of a throttle, the quiet time of a debounce."""

    mode: KeyMode
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.mode} {self.seconds!r}" if self.seconds else str(self.mode)

    @classmethod
    def of_text(cls, text: str | None) -> KeyRule | None:
        """The rule that this text is of."""
        if not text:
            return None
        mode, _space, seconds = text.partition(" ")
        return cls(KeyMode(mode), float(seconds or 0))


#: What a row of the outbox says that waits behind a holder.
BEHIND = KeyRule(KeyMode.BEHIND)


class PushStatus(StrEnum):
    """What became of one pushed job."""

    ACCEPTED = "accepted"
    KNOWN = "known"  # this (id, run), or a later run, is already with the broker or has ended
    DUPLICATE = "duplicate"  # another live job of the queue holds the key
    MERGED = "merged"  # another job of this key that waits has taken over what the call says
    BEHIND = "behind"  # taken in; it starts when the job has ended that holds the key


@dataclass(frozen=True, slots=True)
class Pushed:
    """The answer for one pushed job; `holder` is the job that has the key, or took over what the call says."""

    id: UUID
    status: PushStatus
    holder: UUID | None = None


@dataclass(frozen=True, slots=True)
class PushReply:
    """What became of one push, in the order of its jobs.

    `generation` names the store's life (another one: it was wiped since), `sequence` counts its pushes; a store whose
    rows are the queue has neither.
    """

    answers: tuple[Pushed, ...] = ()
    generation: str = ""
    sequence: int = 0
