"""Duty: dead letters by cause: find out what has none yet, and tell people of a cause, at most once an hour.

Any number of keepers look; one row a cause says when people heard of it last, and up to which of its dead letters: who
moves that row tells them. A keeper that dies right behind it has told nobody: at most once is what is promised.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connections, transaction
from django.db.models import Q

from ..broker import get_broker
from ..broker.database import causes as store
from ..broker.database.causes import CauseRow
from ..conf import jobs_settings
from ..fingerprint import cause_of, without_values
from ..history import causes
from ..models import Attempt, AttemptOutcome, Cause, Job, Release
from ..signals import DeadLetters, dead_letter_alert
from ..visible import visible
from .mail import mail_admins

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs, and after one that found dead letters without a cause.
INTERVAL, SOON = 5.0, 0.1
#: Dead letters whose cause one run finds out.
CHUNK = 200
#: People hear of one cause at most so often; of one that is older than this when it is first seen, not at all.
PAUSE = timedelta(hours=1)
#: A cause without dead letters is forgotten after so long; once a day it is noted that one still has some.
REMEMBERED, NOTED = timedelta(days=90), timedelta(days=1)

#: Behind which cause to go on looking, where there are more than one look finds.
_after = ""


def run() -> int:
    """Look once; returns how many dead letters got their cause."""
    _note_release()
    found = find_out()
    alert()
    return found


def find_out() -> int:
    """Give dead letters a cause that have none: of an older version, or without a worker that settled them."""
    dead = list(causes.ungrouped().only("pk", "run", "task", "error", "release").order_by("ended_at")[:CHUNK])
    if not dead:
        return 0
    traces = _tracebacks(dead)
    noted = [
        CauseRow(
            id=job.pk,
            run=job.run,
            cause=cause_of(job.task, job.error, traces.get((job.pk, job.run), "")),
            release=job.release,
        )
        for job in dead
    ]
    connection = connections[jobs_settings().database]
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        store.note_causes(cursor, connection.vendor, noted)
    return len(dead)


def alert() -> int:
    """Tell people of causes that have dead letters they have not heard of; returns of how many causes."""
    global _after
    alias, now = jobs_settings().database, get_broker().now()
    seen = store.list_causes(connections[alias], _after, causes.MOST)
    _after = seen[-1][0] if len(seen) == causes.MOST else ""
    known = Cause.objects.using(alias).in_bulk([cause for cause, _last in seen])
    told = 0
    for cause, last_at in seen:
        kept = known.get(cause)
        if kept is None:
            _note_first(cause, now)
        elif now - kept.seen_at >= NOTED:
            Cause.objects.using(alias).filter(pk=cause).update(seen_at=now)
        if kept is None or kept.alerted_until is None or kept.alerted_until < last_at:
            told += _alert(cause, last_at, now)
    if not _after:
        Cause.objects.using(alias).filter(seen_at__lt=now - REMEMBERED).delete()
    return told


def _tracebacks(dead: Sequence[Job]) -> dict[tuple[UUID, int], str]:
    """The traceback of the last attempt of each, by job and run."""
    attempts = Attempt.objects.using(jobs_settings().database)
    rows = attempts.filter(job_id__in=[job.pk for job in dead], outcome=AttemptOutcome.FAILED).order_by("pk")
    return {(job_id, run): trace for job_id, run, trace in rows.values_list("job_id", "run", "traceback")}


def _note_first(cause: str, now: datetime) -> None:
    first = causes.of_cause(cause).order_by("ended_at", "id").first()
    if first is not None:
        values = {
            "task": first.task,
            "first_at": first.ended_at or now,
            "first_release": first.release,
            "seen_at": now,
        }
        Cause.objects.using(jobs_settings().database).get_or_create(pk=cause, defaults=values)


def _alert(cause: str, last_at: datetime, now: datetime) -> bool:
    """Move the cause's row, and if this keeper is the one that did, tell people."""
    rows = Cause.objects.using(jobs_settings().database).filter(pk=cause)
    rows = rows.filter(Q(alerted_until=None) | Q(alerted_until__lt=last_at))
    # where it is seen for the first time and is no news: the dead letters of an older version, say
    if last_at < now - PAUSE and rows.filter(alerted_at=None).update(alerted_until=last_at):
        return False
    due = rows.filter(Q(alerted_at=None) | Q(alerted_at__lte=now - PAUSE) | Q(alerted_at__gt=now + PAUSE))
    if not due.update(alerted_at=now, alerted_until=last_at):
        return False
    one = causes.look(cause)
    if one is None:
        return False
    news = DeadLetters(
        cause=one.id,
        task=one.task,
        queue=one.queue,
        error=without_values(one.error),
        count=one.count,
        more=one.more,
        first_at=one.first_at,
        last_at=one.last_at,
        release=one.last_release,
        first_release=one.first_release,
    )
    logger.warning("dead_letters cause=%s task=%s queue=%s count=%d", one.id, one.task, one.queue, one.count)
    for receiver, answer in dead_letter_alert.send_robust(sender=one.queue, cause=news):
        if isinstance(answer, Exception):
            kind, text = type(answer).__name__, visible(str(answer))
            logger.error("receiver_failed signal=dead_letter_alert receiver=%r %s: %s", receiver, kind, text)
    if jobs_settings().mail_admins:
        mail_admins(news)
    return True


def _note_release() -> None:
    """Write down since when this release runs."""
    name = jobs_settings().release
    if name and name not in _noted:
        alias = jobs_settings().database
        Release.objects.using(alias).get_or_create(pk=name, defaults={"since": get_broker().now()})
        _noted.add(name)


#: Releases whose coming this process has noted.
_noted: set[str] = set()
