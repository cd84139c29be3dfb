"""That the broker's clock was ahead: what of it is known, and what it left in the history."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta

from django.db import connections, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest

from admin_lists.counts import CAP, Capped

from ..broker.database.statements import load_statements
from ..broker.database.values import moment_of, text_of
from ..conf import jobs_settings
from ..models import ClockJump, Process, TaskStat
from ..states import ENDED
from . import lookup
from .old_hours import Sheet
from .plans import by_index

logger = logging.getLogger("jobs.keeper")

#: A smaller error of the clock is soon over by itself; the same as the broker's.
SLACK = timedelta(seconds=1)
#: What is noticed within so short a time belongs together.
TOGETHER = timedelta(minutes=1)
#: For so long it is remembered.
REMEMBERED = timedelta(days=30)
#: Rows of one transaction.
CHUNK = 1_000
_BEFORE_END = ("created_at", "claimed_at", "started_at")


def note_jump(now: datetime, ahead: float, jobs: int = 0) -> None:
    """Remember that the clock was ahead by so many seconds at least until now, and that so many jobs were set right."""
    jumps = ClockJump.objects.using(jobs_settings().database)
    last = jumps.filter(noticed_at__gt=now - TOGETHER, noticed_at__lte=now).order_by("-noticed_at").first()
    if last is None:
        logger.warning("clock_was_ahead seconds=%.0f", ahead)
        jumps.create(noticed_at=now, ahead=ahead, jobs=jobs)
    else:
        jumps.filter(pk=last.pk).update(ahead=Greatest(F("ahead"), ahead), jobs=F("jobs") + jobs)
    jumps.filter(Q(noticed_at__lt=now - REMEMBERED) | Q(noticed_at__gt=now + SLACK)).delete()


def last_jump(since: datetime) -> ClockJump | None:
    """The last one that was noticed since then."""
    jumps = ClockJump.objects.using(jobs_settings().database).filter(noticed_at__gte=since)
    return jumps.order_by("-noticed_at").first()


def jobs_to_come(now: datetime) -> Capped:
    """How many live jobs were accepted, or had their due time counted, at a moment that is yet to come."""
    connection = connections[jobs_settings().database]
    with connection.cursor() as cursor:
        values: dict[str, str | int] = {"after": text_of(now + SLACK), "most": CAP + 1}
        cursor.execute(load_statements(connection.vendor)["count_jobs_to_come"], values)
        (number,) = cursor.fetchone()
    return Capped(CAP, more=True) if number > CAP else Capped(number)


def end_now(now: datetime) -> float:
    """Let what ended in the future, and its counters, have ended now, a chunk a queue and state.

    Else retention would keep that before anything younger. Returns by how many seconds the clock had been ahead.
    """
    ahead = timedelta(0)
    for queue, state, last in _ended_to_come(lookup.queues_with_jobs(), now):
        ahead = max(ahead, last - now)
        to_come = lookup.all_jobs().filter(queue=queue, state=state, ended_at__gt=now + SLACK)
        moments = {name: Case(When(Q((f"{name}__gt", now)), then=Value(now)), default=name) for name in _BEFORE_END}
        with by_index(to_come.db):
            chunk = list(to_come.order_by("ended_at").values_list("pk", flat=True)[:CHUNK])
        lookup.all_jobs().filter(pk__in=chunk, state=state).update(ended_at=now, **moments)
    workers = Process.objects.using(jobs_settings().database)
    workers.filter(duties_at__gt=now + SLACK).update(duties_at=now)
    workers.filter(started_at__gt=now + SLACK).update(started_at=now)
    return max(ahead, _count_now(now)).total_seconds()


def _ended_to_come(queues: list[str], now: datetime) -> list[tuple[str, str, datetime]]:
    """The queues and states in which jobs ended in the future, with the last end: one step of jobs_ended for each."""
    connection = connections[jobs_settings().database]
    values = {
        "queues": json.dumps(queues),
        "states": json.dumps(sorted(ENDED)),
        "after": text_of(now + SLACK),
    }
    with by_index(connection.alias), connection.cursor() as cursor:
        cursor.execute(load_statements(connection.vendor)["read_ends_to_come"], values)
        return [(queue, state, moment_of(last)) for queue, state, last in cursor.fetchall()]


def _count_now(now: datetime) -> timedelta:
    """Add the counters of hours that are yet to come to those of this hour; returns how far the last one lay ahead."""
    alias, hour = jobs_settings().database, now.replace(minute=0, second=0, microsecond=0)
    stats = TaskStat.objects.using(alias)
    if not stats.filter(hour__gt=hour).exists():
        return timedelta(0)
    ahead, sheet = timedelta(0), Sheet()
    with transaction.atomic(using=alias):
        for row in stats.select_for_update(skip_locked=True).filter(hour__gt=hour).order_by("pk")[:CHUNK]:
            ahead = max(ahead, row.hour - now)
            stats.filter(pk=row.pk).delete()
            if row.part >= 0:
                sheet.add(row, hour, row.part)
        sheet.write(alias)
    return ahead
