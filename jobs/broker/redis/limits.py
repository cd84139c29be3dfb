"""What was set of a queue's limits at run time; see `lua/set_limits.lua`."""

from __future__ import annotations

from ...policy import AS_IN_CODE, AS_THE_CODE_SAYS, InCode, QueueLimits, RateLimit
from .moments import span
from .scripts import Scripts, decode

_MICROSECONDS = 1_000_000


class Limited:
    """The broker's part in it."""

    _scripts: Scripts

    def set_limits(self, queue: str, limits: QueueLimits) -> None:
        """Let these limits hold from the next claim on; see the contract."""
        words = False if limits == AS_THE_CODE_SAYS else _words_of(limits)
        self._scripts.run("set_limits", queue, limits=words)

    def limits(self, queue: str) -> QueueLimits:
        """What was set of the queue's limits at run time."""
        raw = self._scripts.command("HGET", queue, "meta", "limits")
        if raw is None:
            return AS_THE_CODE_SAYS
        limit, per, most, concurrency = decode(raw)
        rate_limit: RateLimit | None | InCode = RateLimit(limit, per / _MICROSECONDS) if limit else _none_or_code(limit)
        return QueueLimits(rate_limit, concurrency or AS_IN_CODE, most or _none_or_code(most))


def _words_of(limits: QueueLimits) -> list[int | bool]:
    rate, threads, most = limits.rate_limit, limits.concurrency, limits.global_concurrency
    return [
        rate.limit if isinstance(rate, RateLimit) else _zero_or_false(rate),
        span(rate.per) if isinstance(rate, RateLimit) else 0,
        most if isinstance(most, int) else _zero_or_false(most),
        False if isinstance(threads, InCode) else threads,
    ]


def _none_or_code(word: int | bool) -> InCode | None:
    return AS_IN_CODE if word is False else None


def _zero_or_false(value: InCode | None) -> int | bool:
    return 0 if value is None else False
