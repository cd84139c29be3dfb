"""How one enqueue differs from its queue's policy: the options that `using` takes, and their checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from .. import clock
from ..broker.records import KeyMode, KeyRule
from ..errors import InvalidOption
from ..policy import HIGHEST_PRIORITY, LOWEST_PRIORITY, ONE_YEAR
from .labels import checked_group, checked_sequence, checked_tags
from .reference import object_reference
from .unique import MODES, checked_key, rule_of, seconds_of

#: Every time that is past means now; one that every store can hold stands for those before it.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

#: What becomes of a job of which one that it waits for does not complete.
ON_FAILURE = ("fail", "run", "cancel")


@dataclass(frozen=True)
class Options:
    """How one enqueue differs from the queue's policy; durations in seconds."""

    priority: int | None = None
    delay: float = 0.0
    at: datetime | None = None
    key: str | None = None
    expires: float | None = None
    about: tuple[str, str] | None = None
    group: str = ""
    sequence: str = ""
    tags: tuple[str, ...] = ()
    rule: KeyRule | None = None
    #: ids of jobs and calls (`jobs.define.flow`), checked where they are given
    after: tuple[Any, ...] = field(default=(), repr=False)
    on_failure: str | None = None
    id: UUID | None = None

    def changed(self, **given: Any) -> Options:
        """The same with the options of `Task.using`; None leaves one as it is. Raises `InvalidOption`."""
        rule = rule_of(self.rule, **{mode: given.pop(mode, None) for mode in MODES})
        changes = {name: _CHECKS[name](value) for name, value in given.items() if value is not None}
        options = replace(self, **changes, rule=rule)
        _check_times(options, delay_given=given.get("delay") is not None)
        return options


NO_OPTIONS = Options()


def _check_times(options: Options, *, delay_given: bool) -> None:
    if options.at is not None and (options.delay or delay_given):
        raise InvalidOption(
            f"at={options.at.isoformat()} and delay=: a job is due at a time or after a delay; give one"
        )
    if options.rule is not None and options.rule.mode is KeyMode.DEBOUNCE:
        _check_debounce(options, delay_given=delay_given)
    ahead = options.delay if options.at is None else (options.at - clock.now()).total_seconds()
    if options.expires is not None and options.expires <= ahead:
        given = f"delay={ahead:g} s" if options.at is None else f"at={options.at.isoformat()}"
        raise InvalidOption(f"expires={options.expires:g} s is not later than {given}: it would never run")


def _check_debounce(options: Options, *, delay_given: bool) -> None:
    quiet = options.rule.seconds if options.rule else 0.0
    if options.at is not None or options.delay or delay_given:
        given = "delay=" if options.at is None else f"at={options.at.isoformat()}"
        raise InvalidOption(f"debounce={quiet:g} and {given}: a debounced job is due after its quiet time; give one")
    if options.expires is not None and options.expires <= quiet:
        raise InvalidOption(f"expires={options.expires:g} s is not later than debounce={quiet:g} s: it would never run")


def _checked_priority(priority: Any) -> int:
    if (
        not isinstance(priority, int)
        or isinstance(priority, bool)
        or not HIGHEST_PRIORITY <= priority <= LOWEST_PRIORITY
    ):
        raise InvalidOption(f"priority={priority!r}: expected a whole number from 1 (highest) to 10 (lowest)")
    return priority


def _checked_time(at: Any) -> datetime:
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise InvalidOption(f"at={at!r}: expected an aware datetime (with a time zone)")
    if (at - clock.now()).total_seconds() > ONE_YEAR:
        raise InvalidOption(f"at={at.isoformat()}: expected a time at most one year ahead")
    return max(at, EARLIEST).astimezone(UTC)


def _checked_id(given: Any) -> UUID:
    try:
        id = given if isinstance(given, UUID) else UUID(given)
    except (AttributeError, TypeError, ValueError):
        id = UUID(int=0)
    if not id.int:
        raise InvalidOption(f"id={given!r}: expected a UUID or its text")
    return id


def _checked_on_failure(on_failure: Any) -> str:
    if on_failure not in ON_FAILURE:
        raise InvalidOption(f"on_failure={on_failure!r}: expected one of {', '.join(ON_FAILURE)}")
    return str(on_failure)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "priority": _checked_priority,
    "delay": lambda value: seconds_of("delay", value, allow_zero=True),
    "at": _checked_time,
    "key": checked_key,
    "expires": lambda value: seconds_of("expires", value, allow_zero=False),
    "about": object_reference,
    "after": tuple,
    "id": _checked_id,
    "on_failure": _checked_on_failure,
    "group": checked_group,
    "sequence": checked_sequence,
    "tags": checked_tags,
}
