"""A clock that a test moves: what the engine, Django and the database's statements take for now, in this process.

Only Redis's clock stays as it is: there `run_jobs(until=…)` leaves the waiting out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest import mock

from .. import clock
from ..broker import forget_broker, get_broker
from ..broker.database.statements import put_clock_ahead
from ..defined import find_queue
from ..errors import InvalidOption, NotSupported
from ..keep import tick
from ..operate.schedules import all_schedules, defined_schedules, ticks_to_come

#: Seconds of one move at most: ten years.
FARTHEST = 3_650 * 86_400
#: The first year in which `fake_time` begins, and the last: ids hold the time since 1970.
YEARS = 1971, 2999

_current: Clock | None = None


class Clock:
    """The time inside `fake_time`: it goes on as any clock does, and jumps forward where a test says so."""

    @property
    def now(self) -> datetime:
        """The moved time, aware, in UTC; `django.utils.timezone.now()` answers the same."""
        return clock.now()

    def move(self, by: timedelta | float) -> None:
        """Put the clock forward by a timedelta, or by so many seconds; less than none raises `InvalidOption`.

        A jump, as if nobody had worked meanwhile: what came due is started late, and of ticks that were missed a
        schedule's `missed=` decides. `run_jobs(until=…)` goes through the time instead.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= FARTHEST:
            raise InvalidOption(
                f"move({by!r}): expected a timedelta or seconds, from 0 to {FARTHEST} (ten years): a clock moves "
                "forward only; fake_time(moment) begins at any time"
            )
        _put_ahead(clock.ahead() + timedelta(seconds=seconds))

    def move_to(self, moment: datetime) -> None:
        """Put the clock forward to this moment, an aware one; raises `InvalidOption` for one that is past."""
        step = checked_moment(moment, "move_to") - get_broker().now()
        if not timedelta(0) <= step <= timedelta(seconds=FARTHEST):
            text = "expected a moment of the next ten years: a clock moves forward only"
            raise InvalidOption(f"move_to({moment.isoformat()}): {text}")
        self.move(step)


@contextmanager
def fake_time(start: datetime | None = None) -> Iterator[Clock]:
    """Let the test move the clock: jobs with a delay and ticks of schedules become due without waiting.

    `start` is when the block begins, an aware moment; without it, now. Also a decorator. Inside, `run_jobs(until=…)`
    moves the clock from one due job or tick to the next, up to `until`, so that each sees its own time. The clock is
    that of the engine, of the database's statements and of `django.utils.timezone.now()`, in this process;
    `datetime.now()` tells the real time. Raises `NotSupported` with Redis, whose clock nobody can move, and
    `InvalidOption` for a naive `start`, or inside another `fake_time`.
    """
    global _current
    if _current is not None:
        raise InvalidOption("fake_time() inside fake_time(): there is one clock; move the one there is")
    broker = get_broker()
    if not broker.rows_are_the_queue:
        raise NotSupported(
            "fake_time() moves the clock of jobs that are kept in the database; Redis goes by its own, which cannot be "
            "moved. Leave REDIS_URL unset in your tests, or use run_jobs(until=...), which leaves the waiting out"
        )
    if start is not None and not YEARS[0] <= checked_moment(start, "start").year <= YEARS[1]:
        raise InvalidOption(f"start={start.isoformat()}: expected a year from {YEARS[0]} to {YEARS[1]}")
    ahead = timedelta(0) if start is None else start - broker.now()
    _current = Clock()
    try:
        _put_ahead(ahead)
        _begin_anew()
        fire_ticks()  # the schedules of the code get their rows, and tick from now on
        with mock.patch("django.utils.timezone.now", clock.now):
            yield _current
    finally:
        _current = None
        _put_ahead(timedelta(0))
        _begin_anew()


def moved_clock() -> Clock | None:
    """The clock of the `fake_time` around the caller, if there is one."""
    return _current


def fire_ticks() -> int:
    """Fire the ticks that are due, as a keeper would; returns how many jobs that made."""
    tick.forget()
    return tick.run()


def next_tick(queue: str | None, as_of: datetime) -> datetime | None:
    """When a schedule ticks next after this moment; only one of the queue's tasks, if a queue is named."""
    defined = defined_schedules()
    rows = all_schedules().filter(enabled=True)
    if queue is not None:
        rows = rows.filter(task__in=find_queue(queue).tasks)
    return min((moment for row in rows for moment in ticks_to_come(row, 1, defined, as_of)), default=None)


def checked_moment(moment: datetime, name: str) -> datetime:
    """The moment, if it is an aware one; else raises `InvalidOption` and names the argument."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise InvalidOption(f"{name}={moment!r}: expected an aware datetime (with a time zone)")
    return moment


def _put_ahead(by: timedelta) -> None:
    clock.put_ahead(by)
    put_clock_ahead(by)


def _begin_anew() -> None:
    """Forget what this process has noted by another time."""
    forget_broker()
    tick.forget()
