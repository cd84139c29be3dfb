"""Schedules: what the code defines and what people made, switched on and off, and run at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from ..broker import get_broker
from ..conf import jobs_settings
from ..define.context import EventMark, announcing
from ..define.ticks import SCHEDULE, tick_event, tick_id
from ..defined import find_task, queues
from ..errors import Refused, UnknownSchedule
from ..models import Schedule
from ..rules.cron import Cron
from ..rules.every import Every
from ..rules.rule import Rule

if TYPE_CHECKING:
    from ..define.handle import JobHandle
    from ..define.task import Task

logger = logging.getLogger("jobs.schedules")


@dataclass(frozen=True)
class Defined:
    """A schedule that the code defines."""

    task: Task
    rule: Rule


def all_schedules() -> QuerySet[Schedule]:
    """Every schedule's row."""
    return Schedule.objects.using(jobs_settings().database)


def defined_schedules() -> dict[str, Defined]:
    """The schedules that the code defines, by name: the first of a task is called like the task."""
    return {
        name: Defined(task, rule)
        for queue in queues().values()
        for task in queue.tasks.values()
        for name, rule in task.schedules.items()
    }


def rule_of(row: Schedule, defined: Mapping[str, Defined]) -> Rule | None:
    """The schedule's rule: what the code says, else what the row says; None for one that is gone from the code.

    Raises `InvalidPolicy` for a row that somebody wrote past the form.
    """
    if row.from_code:
        known = defined.get(row.name)
        return None if known is None else known.rule
    options = (row.missed, row.overlap, row.jitter, row.start, row.end, row.count)
    return _rule(row.expression, row.seconds, row.timezone, *options)


def ticks_to_come(
    row: Schedule, number: int, defined: Mapping[str, Defined] | None = None, as_of: datetime | None = None
) -> list[datetime]:
    """The next ticks of the schedule, at most so many; none of one that is disabled, gone or at its end.

    `as_of`: those after this moment; without it, after now.
    """
    rule = rule_of(row, defined_schedules() if defined is None else defined)
    if rule is None or not row.enabled:
        return []
    left = number if rule.count is None else min(number, max(0, rule.count - row.fired))
    return rule.next(max(as_of or get_broker().now(), row.last_tick), left)


def enqueue_tick(row: Schedule, task: Task, tick: datetime, jitter: float = 0) -> JobHandle:
    """Enqueue the job of this tick; `current_job().tick` tells it."""
    key = tick_id(row.name, tick)
    prepared = task.using(about=(SCHEDULE, str(row.pk)))
    if jitter:
        # the same for whoever fires it
        prepared = prepared.using(at=tick + timedelta(seconds=jitter * (key.int & 0xFFFF) / 0x10000))
    with announcing(EventMark(tick_event(row.name), key)):
        return prepared.enqueue(*row.args, **row.kwargs)


def run_now(name: str) -> JobHandle:
    """Enqueue the schedule's task at once, whatever its rule says; its ticks stay as they are.

    Raises `UnknownSchedule`, `UnknownTask`, and `InvalidArguments` where the row's arguments fit the task no more.
    """
    alias = jobs_settings().database
    with transaction.atomic(using=alias):
        row = _locked(name)
        handle = enqueue_tick(row, find_task(row.task), get_broker().now())
        all_schedules().filter(pk=row.pk).update(last_job=handle.id)
    return handle


def enable(name: str) -> None:
    """Let the schedule tick again, from now on: what it missed is not made up for.

    Raises `UnknownSchedule`, and `Refused` for one that the code does not define any more.
    """
    with transaction.atomic(using=jobs_settings().database):
        row = _locked(name)
        if row.from_code and row.name not in defined_schedules():
            text = _("schedule %(name)s was taken out of the code: nothing says when it ticks; delete it")
            raise Refused(text % {"name": name})
        if not row.enabled:
            begin_anew(row)
            row.enabled = True
            row.save()
    logger.info("schedule_enabled name=%s", name)


def disable(name: str) -> None:
    """Let the schedule tick no more; when this returns, no further tick fires. Raises `UnknownSchedule`."""
    with transaction.atomic(using=jobs_settings().database):
        row = _locked(name)
        row.enabled, row.waiting_tick = False, None
        row.save(update_fields=["enabled", "waiting_tick"])
    logger.info("schedule_disabled name=%s", name)


def begin_anew(row: Schedule) -> None:
    """Count the row's ticks from now on; the caller saves it."""
    row.last_tick = get_broker().now()
    row.run_from = row.run_after = row.skip_from = row.skip_until = row.waiting_tick = None
    row.trouble, row.trouble_at = "", None


def take_in(now: datetime, *, first: bool) -> None:
    """Give each schedule of the code its row; with `first`, a keeper's first look, note which the code has no more."""
    defined = defined_schedules()
    rows = {row.name: row for row in all_schedules().filter(from_code=True)}
    for name, one in defined.items():
        row = rows.get(name)
        if row is None:
            row = Schedule(name=name, from_code=True, last_tick=now)
        elif not first and row.gone_at is None:
            continue
        _repeat(row, one)
    if first:
        gone = [row.pk for name, row in rows.items() if name not in defined and row.gone_at is None]
        if all_schedules().filter(pk__in=gone, gone_at=None).update(gone_at=now, waiting_tick=None):
            logger.warning("schedules_gone number=%d: they are not in the code any more", len(gone))


def _repeat(row: Schedule, one: Defined) -> None:
    """Write into the row what the code says, if it says anything new."""
    rule = one.rule
    told = {
        "task": one.task.name,
        "gone_at": None,
        "expression": rule.expression if isinstance(rule, Cron) else "",
        "seconds": int(rule.step.total_seconds()) if isinstance(rule, Every) else None,
        "timezone": (rule.timezone or "") if isinstance(rule, Cron) else "",
        **{name: getattr(rule, name) for name in ("missed", "overlap", "jitter", "start", "end", "count")},
    }
    if row.pk is None:
        for name, value in told.items():
            setattr(row, name, value)
        # of two keepers that start at once one writes it
        all_schedules().bulk_create([row], ignore_conflicts=True)
    elif any(getattr(row, name) != value for name, value in told.items()):
        all_schedules().filter(pk=row.pk).update(**told)


def _locked(name: str) -> Schedule:
    row = all_schedules().select_for_update().filter(name=name).first()
    if row is None:
        text = _("schedule %(name)s is not known; `manage.py jobs schedules` lists them")
        raise UnknownSchedule(text % {"name": repr(name)})
    return row


@lru_cache(maxsize=1_000)
def _rule(
    expression: str,
    seconds: int | None,
    timezone: str,
    missed: str,
    overlap: str,
    jitter: float,
    start: datetime | None,
    end: datetime | None,
    count: int | None,
) -> Rule:
    options: dict[str, Any] = {
        "missed": missed,
        "overlap": overlap,
        "jitter": jitter,
        "start": start,
        "end": end,
        "count": count,
    }
    if expression:
        return Cron(expression, timezone=timezone or None, **options)
    return Every(seconds or 0, **options)
