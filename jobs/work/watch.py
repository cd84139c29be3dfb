"""Whether what a pool has claimed makes progress: the free thread that keeps watch looks by this."""

from __future__ import annotations

#: How often the watch looks, in seconds, while claimed jobs wait for their start, and for how long after a claim.
TICK, ALERT = 0.002, 0.010
#: What takes longer, in seconds, is worth a thread of its own.
SHORT = 0.0002


class Watch:
    """What was to be seen when the watch looked last. All of it happens under the pool's lock."""

    def __init__(self) -> None:
        self._begun = 0  # jobs whose threads have taken them
        self._drained = -1  # how many had ended, if one waited for that
        self._ticked_at = self._claimed_at = 0.0

    def claimed(self, begun: int, now: float) -> None:
        """Jobs have come; so many that came before have begun."""
        self._claimed_at = self._ticked_at = now
        self._begun = begun

    def is_stuck(self, waits: bool, begun: int, drained: int, now: float) -> bool:
        """Whether what `waits` for its start, or else for its settlement, has made no progress worth the name."""
        if waits:
            past = now - self._ticked_at
            if past < TICK:
                return False
            stuck = (begun - self._begun) * SHORT < past
        else:
            stuck = 0 <= drained == self._drained
        self._begun, self._drained, self._ticked_at = begun, drained, now
        return stuck

    def next_tick(self, waits: bool, now: float) -> float | None:
        """When to look again because jobs wait for their start, or have just come; None: neither is so."""
        if not waits and now >= self._claimed_at + ALERT:
            return None
        due = self._ticked_at + TICK
        return due if due > now else now + TICK
