"""What a queue promises: frozen values, checked when they are made."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from . import clock
from .errors import InvalidPolicy, PermanentError

QUEUE_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
LIMIT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}\Z")
HIGHEST_PRIORITY, DEFAULT_PRIORITY, LOWEST_PRIORITY = 1, 5, 10
#: Stored priorities run from -100 to 100, larger first, and leave room between and above those that people give.
PRIORITY_STEP = 20
MOST_KEPT = 100_000_000
ONE_DAY = 86_400.0
ONE_YEAR = 365 * ONE_DAY
#: Jobs of one call of a bulk task, and of one claim together; and the bytes of their records, about.
MOST_AT_ONCE, MOST_BYTES = 1_000, 1 << 20
#: Of a rate limit, in seconds: brokers count in microseconds.
SHORTEST_PERIOD = 0.001
#: Of a breaker: the moments of as many failures are kept, and its times are no shorter, in seconds.
MOST_FAILURES, SHORTEST_PROBE = 1_000, 0.1


@dataclass(frozen=True)
class Exponential:
    """Wait `base`, then `base * factor`, then `base * factor ** 2` … seconds, at most `maximum`.

    `jitter` (0 to 1) takes away up to that share of the wait, by chance, so that many failures do not return together.
    """

    base: float
    factor: float = 2
    maximum: float = ONE_DAY
    jitter: float = 0

    def __post_init__(self) -> None:
        _positive("Exponential", "base", self.base)
        _positive("Exponential", "maximum", self.maximum)
        _share("Exponential", "jitter", self.jitter)
        if not _is_number(self.factor) or self.factor < 1:
            raise InvalidPolicy(f"Exponential(factor={self.factor!r}): expected a number of at least 1")

    def delay(self, attempt: int) -> float:
        """Seconds to wait after `attempt` (1 is the first) failed."""
        exponent = min(attempt - 1, 1_000)
        try:
            wait = self.base * self.factor**exponent
        except OverflowError:
            wait = self.maximum
        return _jittered(min(wait, self.maximum), self.jitter)


@dataclass(frozen=True)
class Fixed:
    """Wait the same number of `seconds` after each failure; `jitter` as in `Exponential`."""

    seconds: float
    jitter: float = 0

    def __post_init__(self) -> None:
        if not _is_number(self.seconds) or not 0 <= self.seconds <= ONE_YEAR:
            raise InvalidPolicy(f"Fixed(seconds={self.seconds!r}): expected seconds between 0 and one year")
        _share("Fixed", "jitter", self.jitter)

    def delay(self, attempt: int) -> float:
        """Seconds to wait after `attempt` (1 is the first) failed."""
        return _jittered(self.seconds, self.jitter)


class GiveUp(Enum):
    """What a backoff of one's own may answer: no further attempt, the job is a dead letter now."""

    GIVE_UP = "give up"


GIVE_UP: Final = GiveUp.GIVE_UP


@dataclass(frozen=True)
class Custom:
    """A backoff of the project's own: `function(exception, attempt)`, asked when an attempt has failed.

    It answers seconds (or a timedelta), `GIVE_UP`, or None: as `otherwise` says. Made of the function that `backoff=`
    was given; `otherwise` is the queue's own policy.
    """

    function: Callable[[Any, int], Any]
    otherwise: Exponential | Fixed

    def __post_init__(self) -> None:
        if not inspect.isfunction(self.function) or _is_asynchronous(self.function) or not _takes_two(self.function):
            raise InvalidPolicy(
                f"backoff={self.function!r}: expected Exponential(...), Fixed(...), or a plain function of "
                "(exception, attempt) that returns seconds, GIVE_UP, or None for the queue's own wait"
            )

    def delay(self, attempt: int) -> float:
        """Seconds to wait after `attempt` failed, where the function is not asked."""
        return self.otherwise.delay(attempt)

    def wait(self, error: BaseException, attempt: int) -> float | GiveUp:
        """What the function answers; raises what it raises, and ValueError for an answer that is no wait."""
        answer = self.function(error, attempt)
        if answer is None:
            return self.delay(attempt)
        if isinstance(answer, GiveUp):
            return answer
        seconds: Any = answer.total_seconds() if isinstance(answer, timedelta) else answer
        if not _is_number(seconds) or not 0 <= seconds <= ONE_YEAR:
            raise ValueError(f"it returned {answer!r}: expected seconds between 0 and one year, GIVE_UP or None")
        return float(seconds)


Backoff = Exponential | Fixed | Custom
#: What `backoff=` takes: a policy, or a function of (exception, attempt).
GivenBackoff = Backoff | Callable[[Any, int], "float | timedelta | GiveUp | None"]


def backoff_of(given: GivenBackoff, otherwise: Backoff) -> Backoff:
    """The policy that `backoff=` means; where a function has nothing to say, `otherwise` does."""
    if not callable(given):
        return given
    return Custom(given, otherwise.otherwise if isinstance(otherwise, Custom) else otherwise)


def _is_asynchronous(function: Callable[..., Any]) -> bool:
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return any(is_kind(function) for is_kind in kinds)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, 1)
    except TypeError:
        return False
    return True


@dataclass(frozen=True)
class RateLimit:
    """At most `limit` starts in every rolling window of `per` seconds, over all workers."""

    limit: int
    per: float = 1

    def __post_init__(self) -> None:
        _whole("RateLimit", "limit", self.limit, 1, 100_000)
        if not _is_number(self.per) or not SHORTEST_PERIOD <= self.per <= ONE_YEAR:
            text = f"expected seconds, from {SHORTEST_PERIOD:g} to one year"
            raise InvalidPolicy(f"RateLimit: per={self.per!r}: {text}")


@dataclass(frozen=True)
class GroupRules:
    """What holds for each group of a queue: its active jobs over all machines, and its starts in every window.

    `most`: so many of its jobs may wait, due to start; a call that would make them more is refused.
    """

    concurrency: int | None = None
    rate_limit: RateLimit | None = None
    most: int | None = None

    def check(self, where: str, prefix: str = "") -> None:
        """Raise `InvalidPolicy` for what is no limit, by the name that it was given with."""
        for name, value, highest in (("concurrency", self.concurrency, 100_000), ("max", self.most, 10_000_000)):
            if value is not None:
                _whole(where, f"{prefix}{name}", value, 1, highest)
        if self.rate_limit is not None and not isinstance(self.rate_limit, RateLimit):
            text = f"{prefix}rate_limit={self.rate_limit!r}: expected RateLimit(limit, per=seconds)"
            raise InvalidPolicy(f"{where}: {text}")


@dataclass(frozen=True)
class Limit:
    """A rate limit with a name, which tasks of several queues share: at most so many of their jobs start, over all.

    `name` is letters, digits, `_`, `.` and `-`. Every task that names it gives the same `rate_limit`.
    """

    name: str
    rate_limit: RateLimit

    def __post_init__(self) -> None:
        _limit_name("Limit", self.name)
        if not isinstance(self.rate_limit, RateLimit):
            raise InvalidPolicy(
                f"Limit({self.name!r}): rate_limit={self.rate_limit!r}: expected RateLimit(limit, per=seconds)"
            )

    def __str__(self) -> str:
        return f"{self.rate_limit.limit}/{self.rate_limit.per:.15g}"


@dataclass(frozen=True)
class Breaker:
    """A circuit breaker with a name, for the tasks that call one provider: while it is open none of their jobs starts.

    It opens once `failures` of their attempts have failed in `within` seconds. `probe_after` seconds later one job
    starts: a success closes it, a failure keeps it open for as long again. `on`: the exceptions that count, one class
    or a tuple of them; of `PermanentError` only subclasses that are named there, and never `RetryLater` and
    `Cancelled`. `name` as for `Limit`; every task that names it gives the same rule.
    """

    name: str
    failures: int = 5
    within: float = 60
    probe_after: float = 30
    on: type[BaseException] | tuple[type[BaseException], ...] = Exception

    def __post_init__(self) -> None:
        _limit_name("Breaker", self.name)
        where = f"Breaker({self.name!r})"
        _whole(where, "failures", self.failures, 1, MOST_FAILURES)
        for name in ("within", "probe_after"):
            value = getattr(self, name)
            if not _is_number(value) or not SHORTEST_PROBE <= value <= ONE_DAY:
                raise InvalidPolicy(
                    f"{where}: {name}={value!r}: expected seconds, from {SHORTEST_PROBE:g} to {ONE_DAY:,.0f}"
                )
        classes = self.on if isinstance(self.on, tuple) else (self.on,)
        if not classes or not all(isinstance(one, type) and issubclass(one, BaseException) for one in classes):
            raise InvalidPolicy(f"{where}: on={self.on!r}: expected one class of exceptions, or a tuple of them")

    def counts(self, error: BaseException) -> bool:
        """Whether a failure by this exception counts."""
        named = self.on if isinstance(self.on, tuple) else (self.on,)
        if isinstance(error, PermanentError):
            named = tuple(one for one in named if issubclass(one, PermanentError))
        return isinstance(error, named)

    def __str__(self) -> str:
        on = "" if self.on is Exception else f" on {self.on!r}"
        return f"{self.failures} failures in {self.within:.15g} s, probe after {self.probe_after:.15g} s{on}"


@dataclass(frozen=True)
class Bulk:
    """How many jobs of a task one call takes: at most `most`, and it begins when `least` of them are due.

    Or when the one that is due longest has waited `wait` seconds.
    """

    most: int
    least: int = 1
    wait: float = 0.0


@dataclass(frozen=True)
class Retention:
    """Which ended jobs history keeps, of those that ended last (G9).

    Of completed jobs the last `completed`, as many cancelled and as many expired ones, and none that ended longer ago
    than `age`; of dead letters the last `failed`, and none that ended longer ago than `failed_age`.
    """

    completed: int = 1_000
    failed: int = 1_000
    age: timedelta | None = None
    failed_age: timedelta | None = None

    def __post_init__(self) -> None:
        _whole("Retention", "completed", self.completed, 0, MOST_KEPT)
        _whole("Retention", "failed", self.failed, 0, MOST_KEPT)
        for name in ("age", "failed_age"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, timedelta) or value <= timedelta(0)):
                raise InvalidPolicy(f"Retention({name}={value!r}): expected a positive timedelta or None")


@dataclass(frozen=True)
class QueuePolicy:
    """Everything that a broker and a worker must know of a queue.

    `timeout` is in seconds and cooperative in threads (see docs/your-project.md); `global_concurrency` bounds the
    queue's active jobs over all machines; `groups` holds for each of its groups; `limits` and `bulks` hold those of
    each task that has some, `breakers` the names of its breakers; `rooms` says of breakers that are not closed how many
    jobs may start now.
    """

    name: str
    attempts: int = 3
    backoff: Backoff = field(default_factory=lambda: Exponential(2))
    concurrency: int = 5
    rate_limit: RateLimit | None = None
    retention: Retention = field(default_factory=Retention)
    priority: int = DEFAULT_PRIORITY
    timeout: float | None = None
    global_concurrency: int | None = None
    groups: GroupRules = GroupRules()
    limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict, hash=False)
    bulks: Mapping[str, Bulk] = field(default_factory=dict, hash=False)
    breakers: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    rooms: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not QUEUE_NAME.match(self.name) or len(self.name) > 50:
            raise InvalidPolicy(
                f"Queue({self.name!r}): a name is a small letter, then small letters, digits and _ (at most 50)"
            )
        where = f"Queue({self.name!r})"
        _whole(where, "attempts", self.attempts, 1, 1_000)
        _whole(where, "concurrency", self.concurrency, 1, 1_000)
        _whole(where, "priority", self.priority, HIGHEST_PRIORITY, LOWEST_PRIORITY)
        if not isinstance(self.backoff, (Exponential, Fixed, Custom)):
            raise InvalidPolicy(
                f"{where}: backoff={self.backoff!r}: expected Exponential(...), Fixed(...) or a plain function of "
                "(exception, attempt)"
            )
        if self.rate_limit is not None and not isinstance(self.rate_limit, RateLimit):
            raise InvalidPolicy(f"{where}: rate_limit={self.rate_limit!r}: expected RateLimit(limit, per=seconds)")
        if self.timeout is not None:
            _positive(where, "timeout", self.timeout)
        if self.global_concurrency is not None:
            _whole(where, "global_concurrency", self.global_concurrency, 1, 100_000)
        self.groups.check(where, "group_")

    def has_lane(self, task: str) -> bool:
        """Whether the jobs of a task stand in a lane of their own: with limits or breakers, or started in bulk."""
        return task in self.limits or task in self.breakers or task in self.bulks


class InCode(Enum):
    """What a limit may be set to at run time: as the code says."""

    AS_IN_CODE = "code"


AS_IN_CODE: Final = InCode.AS_IN_CODE


@dataclass(frozen=True)
class QueueLimits:
    """What was set at run time of a queue, in place of what its policy says; None: without that limit."""

    rate_limit: RateLimit | None | InCode = AS_IN_CODE
    concurrency: int | InCode = AS_IN_CODE
    global_concurrency: int | None | InCode = AS_IN_CODE

    def over(self, policy: QueuePolicy) -> QueuePolicy:
        """The policy that holds: what was set wins over what the code says. Raises `InvalidPolicy`."""
        names = ("rate_limit", "concurrency", "global_concurrency")
        given = {name: value for name in names if (value := getattr(self, name)) is not AS_IN_CODE}
        return replace(policy, **given) if given else policy


#: Nothing was set.
AS_THE_CODE_SAYS = QueueLimits()


def stored_priority(shown: int) -> int:
    """The stored priority for one from 1 (highest) to 10: 5 is 0, and each step is 20."""
    return (DEFAULT_PRIORITY - shown) * PRIORITY_STEP


def shown_priority(stored: int) -> int:
    """The priority from 1 (highest) to 10 that is next to a stored one."""
    return min(max(round(DEFAULT_PRIORITY - stored / PRIORITY_STEP), HIGHEST_PRIORITY), LOWEST_PRIORITY)


def _limit_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not LIMIT_NAME.match(name):
        text = "a name is letters, digits, _, . and - (1 to 100), for example 'hubspot'"
        raise InvalidPolicy(f"{kind}({name!r}): {text}")


def _is_number(value: object) -> bool:
    # a whole number may be too large for math.isfinite
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


def _whole(where: str, name: str, value: object, lowest: int, highest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise InvalidPolicy(f"{where}: {name}={value!r}: expected a whole number from {lowest} to {highest:,}")


def _positive(where: str, name: str, value: object) -> None:
    if not _is_number(value) or not 0 < value <= ONE_YEAR:  # type: ignore[operator]
        raise InvalidPolicy(f"{where}: {name}={value!r}: expected a number above 0 and at most one year of seconds")


def _share(where: str, name: str, value: object) -> None:
    if not _is_number(value) or not 0 <= value <= 1:  # type: ignore[operator]
        raise InvalidPolicy(f"{where}: {name}={value!r}: expected a number from 0 to 1")


def _jittered(wait: float, jitter: float) -> float:
    return wait * (1 - jitter * clock.random()) if jitter else float(wait)
