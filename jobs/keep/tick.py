"""Duty: enqueue the tasks of schedules, each tick once over all keepers (G8).

One transaction moves the schedule's last tick forward and inserts the job: of any number of keepers only one finds
the row older than the tick. The next tick is counted from the last one, never from now. A tick later than `GRACE` is a
missed one: the schedule's `missed=` says what becomes of it.

A clock that was ahead leaves a last tick that is yet to come. The schedule then returns to the last tick before the
clock ran ahead, and what has fired in between does not fire again when its time comes.

One schedule that fails does not stop the others: its row tells the trouble, and it is tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..defined import find_task
from ..errors import BrokerAway
from ..faults import point
from ..history.jumps import note_jump
from ..history.live import row_of
from ..models import Schedule
from ..operate.schedules import all_schedules, defined_schedules, enqueue_tick, rule_of, take_in
from ..rules.rule import MOST_MISSED, SECOND, Rule
from ..states import ENDED

if TYPE_CHECKING:
    from ..define.task import Task

logger = logging.getLogger("jobs.keeper")

#: Seconds until the schedules' rows are read again, and the longest between two runs.
INTERVAL = 5.0
#: The shortest pause between two runs, and the longest while a tick waits for a job's end.
SHORTEST, WHILE_WAITING = 0.01, 1.0
#: So late a tick is missed; one that is a little late fires, whatever `missed=` says.
GRACE = timedelta(seconds=30)
#: How far back ticks are remembered that fired while the clock was ahead.
LOOK_BACK = timedelta(hours=24)
#: A last tick so little ahead of the clock is no clock that was ahead, but one that was set right by a moment.
SLACK = timedelta(seconds=2)
#: Seconds until a schedule that failed is tried again, at most.
LONGEST_REST = 60.0
MAX_TROUBLE = 250


@dataclass(slots=True)
class _Plan:
    """A schedule as this process knows it; `wake` is when to look at it next, `looked` up to where it has looked."""

    row: Schedule
    rule: Rule
    task: Task | None  # None: found by its name when it ticks
    wake: datetime | None
    looked: datetime
    rest_until: float = 0.0
    failures: int = 0


_plans: dict[int, _Plan] = {}
#: When to read the rows again and when to run again, by `clock.monotonic()`.
_read_at: float | None = None
_run_at: float = 0.0


def run() -> int:
    """Fire what is due by now; returns how many jobs were enqueued."""
    global _run_at
    began = clock.monotonic()
    if _read_at is not None and began < _read_at and not _plans:
        return 0
    now = get_broker().now()
    if _read_at is None or began >= _read_at:
        _read(now)
    fired = sum(_attend(plan, now) for plan in list(_plans.values()) if began >= plan.rest_until)
    _run_at = min([_read_at or 0.0, *(_next_run(plan, began, now) for plan in _plans.values())])
    return fired


def wait() -> float:
    """Seconds until the next run: when the next tick is due, or the rows are read again."""
    return max(SHORTEST, min(_run_at - clock.monotonic(), INTERVAL))


def forget() -> None:
    """Forget all of this process's knowledge; the next run reads the database again, as a keeper's first one."""
    global _read_at
    _plans.clear()
    _read_at = None


def _read(now: datetime) -> None:
    """Read the schedules' rows again; what has not changed keeps its plan."""
    global _read_at
    take_in(now, first=_read_at is None)
    defined, former = defined_schedules(), dict(_plans)
    _plans.clear()
    for row in all_schedules().filter(enabled=True):
        try:
            rule = rule_of(row, defined)
        except Exception as error:  # a row that somebody wrote past the form
            _note_trouble(row, error, now)
            continue
        if rule is None:
            continue
        known = former.get(row.pk)
        if known is not None and known.rule == rule and known.row.last_tick == row.last_tick:
            known.row = row
            _plans[row.pk] = known
        else:
            task = defined[row.name].task if row.from_code else None
            _plans[row.pk] = _Plan(row, rule, task, wake=now, looked=row.last_tick)
    _read_at = clock.monotonic() + INTERVAL


def _next_run(plan: _Plan, began: float, now: datetime) -> float:
    if plan.row.waiting_tick is not None:
        return max(plan.rest_until, began + WHILE_WAITING)
    if plan.wake is None:
        return began + INTERVAL
    return max(plan.rest_until, began + (plan.wake - now).total_seconds())


def _attend(plan: _Plan, now: datetime) -> int:
    row = plan.row
    try:
        fired = _look(plan, now)
    except Schedule.DoesNotExist:  # somebody removed its row: one of the code begins anew
        forget_one(plan)
        return 0
    except (OperationalError, InterfaceError, BrokerAway):  # not the schedule's own trouble
        raise
    except Exception as error:
        plan.row = row  # what was about to be written to it is not
        plan.failures += 1
        plan.rest_until = clock.monotonic() + min(LONGEST_REST, 2.0 ** min(plan.failures, 10))
        _note_trouble(plan.row, error, now)
        return 0
    plan.failures = 0
    return fired


def forget_one(plan: _Plan) -> None:
    """Forget one schedule, and read the rows at the next run."""
    global _read_at
    _plans.pop(plan.row.pk, None)
    _read_at = 0.0


def _look(plan: _Plan, now: datetime) -> int:
    if plan.row.last_tick > now + SLACK:
        plan.row = _return_to_before(plan.row, now)
        plan.looked, plan.wake = plan.row.last_tick, now
    elif plan.looked > now + SLACK:  # the clock was set back
        plan.looked, plan.wake = plan.row.last_tick, now
    fired = _fire_waiting(plan) if plan.row.waiting_tick is not None else 0
    if plan.wake is None or now < plan.wake:
        return fired
    since = max(plan.row.last_tick, plan.looked)
    first = None if _is_at_its_end(plan) else plan.rule.after(since, now)
    if first is not None and first <= now:
        ticks, in_turn = _choose(plan.rule, since, first, now)
        for tick in ticks:
            fired += _fire(plan, tick, in_turn=in_turn)
            in_turn = True
    plan.looked = max(now, plan.row.last_tick)
    plan.wake = None if _is_at_its_end(plan) else plan.rule.wake(plan.looked)
    if plan.row.trouble:
        all_schedules().filter(pk=plan.row.pk).update(trouble="", trouble_at=None)
        plan.row.trouble = ""
    return fired


def _is_at_its_end(plan: _Plan) -> bool:
    return plan.rule.count is not None and plan.row.fired >= plan.rule.count


def _choose(rule: Rule, since: datetime, first: datetime, now: datetime) -> tuple[list[datetime], bool]:
    """Which of the ticks that are due by now fire, and whether none was left out before the first of them."""
    if first > now - GRACE or rule.missed == "all":
        ticks = rule.due(since, now, MOST_MISSED)
    elif rule.missed == "skip":
        ticks = rule.due(max(since, now - GRACE), now, MOST_MISSED)
    else:
        newest = rule.latest(since, now)
        ticks = [] if newest is None else [newest]
    return ticks, bool(ticks) and ticks[0] == first


def _return_to_before(row: Schedule, now: datetime) -> Schedule:
    """The clock was ahead, or was set back: forget the ticks to come, which have fired; the last one left stays."""
    second = now.replace(microsecond=0)
    with _locked(row) as schedule:
        last = schedule.last_tick
        if last <= now + SLACK:
            return schedule
        if schedule.run_from is None or schedule.run_from > second:
            schedule.skip_from = schedule.run_from or last
            schedule.last_tick = min(schedule.run_after or second, second)
        else:
            # they began to fire before this second: all up to it have
            schedule.skip_from = max(second + SECOND, last - LOOK_BACK)
            schedule.last_tick = second
        schedule.skip_until, schedule.run_from, schedule.run_after = last, None, None
        schedule.save()
    now = get_broker().now()
    note_jump(now, max(0.0, (last - now).total_seconds()))
    logger.warning("schedule_was_ahead schedule=%s last_tick=%s", row.name, f"{last:%Y-%m-%dT%H:%M:%SZ}")
    return schedule


@contextmanager
def _locked(row: Schedule) -> Iterator[Schedule]:
    with transaction.atomic(using=jobs_settings().database, durable=True):
        yield all_schedules().select_for_update().get(pk=row.pk)


def _fire(plan: _Plan, tick: datetime, *, in_turn: bool = True) -> bool:
    """Fire this tick, unless a keeper has; `in_turn`: none was missed before it."""
    rule = plan.rule
    lives = rule.overlap != "allow" and _last_job_lives(plan)
    handle = None
    with _locked(plan.row) as schedule:
        before, plan.row = plan.row, schedule
        if not schedule.enabled or schedule.last_tick >= tick or _is_at_its_end(plan):
            return False
        if rule.overlap != "allow" and schedule.last_job != before.last_job:
            return False  # of another job than the last it is known whether it lives: look again
        if not in_turn or schedule.run_from is None:
            schedule.run_from, schedule.run_after = tick, schedule.last_tick
        schedule.last_tick = tick
        if schedule.skip_from and schedule.skip_until and schedule.skip_from <= tick <= schedule.skip_until:
            pass  # it has fired while the clock was ahead
        elif lives and rule.overlap == "wait":
            schedule.waiting_tick = tick
        elif lives:
            schedule.skipped_at = tick
        else:
            handle = _enqueue(plan, schedule, tick)
        schedule.save()
        point("tick.before_commit")
    point("tick.after_commit")
    if handle is None:
        return False
    late = (clock.now() - tick).total_seconds()
    logger.info(
        "ticked schedule=%s tick=%s late=%.1fs job=%s", schedule.name, f"{tick:%Y-%m-%dT%H:%M:%SZ}", late, handle
    )
    return True


def _fire_waiting(plan: _Plan) -> bool:
    """Fire the tick that waits for the last job, once that has ended."""
    if _last_job_lives(plan):
        return False
    with _locked(plan.row) as schedule:
        before, plan.row = plan.row, schedule
        tick = schedule.waiting_tick
        if tick is None or not schedule.enabled or schedule.last_job != before.last_job:
            return False
        handle = _enqueue(plan, schedule, tick)
        schedule.waiting_tick = None
        schedule.save()
    logger.info("ticked_after_end schedule=%s tick=%s job=%s", schedule.name, f"{tick:%Y-%m-%dT%H:%M:%SZ}", handle)
    return True


def _enqueue(plan: _Plan, schedule: Schedule, tick: datetime) -> str:
    handle = enqueue_tick(schedule, plan.task or find_task(schedule.task), tick, plan.rule.jitter)
    schedule.last_job, schedule.fired_at = handle.id, tick
    schedule.fired += 1
    schedule.trouble, schedule.trouble_at = "", None
    return str(handle.id)


def _last_job_lives(plan: _Plan) -> bool:
    """Whether the job of the tick before this one has not ended; not inside a transaction: it may ask the broker."""
    plan.row = all_schedules().get(pk=plan.row.pk)
    if plan.row.last_job is None:
        return False
    job = row_of(plan.row.last_job)
    return job is not None and job.state not in ENDED


def _note_trouble(row: Schedule, error: Exception, now: datetime) -> None:
    text = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_TROUBLE]
    news = all_schedules().filter(~Q(trouble=text), pk=row.pk)
    if news.update(trouble=text, trouble_at=now):
        logger.error("schedule_failed schedule=%s %s", row.name, text, exc_info=error)
    row.trouble = text
