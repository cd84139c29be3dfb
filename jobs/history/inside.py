"""What running tasks tell of themselves and keep for their next start: written, read, and taken away with their jobs.

Progress and log lines are news: written late, and those of a start that is over already too. What is kept is a promise:
only the claim that opened it last may write it, and none can open it that does not hold the job by the broker's word.
So a start that lost its job cannot write over what a later one keeps (`Kept.name == "token"` holds the claim).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db import models, transaction

from .. import clock
from ..broker import get_broker
from ..broker.records import ClaimedJob
from ..conf import jobs_settings
from ..define.desk import LogLine, Progress
from ..errors import BrokerAway, LeaseLost
from ..models import Job, JobProgress, Kept, LogPart
from . import live

logger = logging.getLogger("jobs.keeper")

#: Lines and bytes that are kept of one start, and of one row; the oldest rows go first.
MOST_LINES, MOST_BYTES = 1_000, 65_536
PART_LINES, PART_BYTES = 100, 8_192
#: Rows of jobs that nobody knows any more go when two looks, so many seconds apart, have not found them.
ORPHAN_AFTER, ORPHANS = 60.0, 1_000
TABLES: tuple[type[models.Model], ...] = (JobProgress, LogPart, Kept)
TOKEN, STOPS, STEP, ITEMS = "token", "stops", "step:", "items:"

Line = tuple[int, float, str]


@dataclass(slots=True)
class Part:
    """A row of log lines that is in the database: its size counts against the start's bound."""

    pk: int
    lines: int
    size: int


def tell(job: ClaimedJob, progress: Progress | None, lines: Sequence[Line], parts: list[Part]) -> None:
    """Write what a start has told since it was last written; `parts` are its rows so far, and are brought up to date.

    In the transaction of the caller.
    """
    if progress is not None:
        _tell_progress(job, progress)
    if lines:
        parts += _add_lines(job, lines)
        _cut(parts)


def open_kept(job: ClaimedJob, still_mine: Callable[[], bool]) -> dict[str, str]:
    """What the job's starts have kept, by name; only this claim may keep something from now on.

    Raises `LeaseLost`, `BrokerAway`, and the database's errors.
    """
    alias = jobs_settings().database
    _take(job, still_mine)
    rows = Kept.objects.using(alias).filter(job_id=job.id).exclude(name__in=(TOKEN, STOPS))
    return dict(rows.values_list("name", "value"))


def keep(job: ClaimedJob, name: str, value: str, still_mine: Callable[[], bool], *, stopped: bool = False) -> None:
    """Keep a value, if no later claim has opened what is kept; see `open_kept` for what it raises.

    `stopped` counts the start as one that came to something.
    """
    if _kept_as(job, name, value, stopped=stopped):
        return
    # a claim that had lost the job has opened it, or the block in which this one did was rolled back
    _take(job, still_mine)
    if not _kept_as(job, name, value, stopped=stopped):
        raise LeaseLost(f"job {job.id} is no longer this worker's")


def stops_of(job_id: UUID, run: int) -> int:
    """How many starts of the run ended by themselves between two items, with something done."""
    row = Kept.objects.using(jobs_settings().database).filter(job_id=job_id, name=STOPS).first()
    return _stops(row, run)


def progress_of(job_id: UUID) -> Progress | None:
    """How far the job's task last said it is."""
    row = JobProgress.objects.using(jobs_settings().database).filter(pk=job_id).first()
    return None if row is None else Progress(row.done, row.total, row.text, row.at)


def logs_of(job_id: UUID, after: int = 0) -> tuple[list[LogLine], int]:
    """The job's log lines in their order, those behind the position `after`; and the position behind them."""
    rows = LogPart.objects.using(jobs_settings().database).filter(job_id=job_id, pk__gt=after).order_by("pk")
    lines: dict[tuple[int, int, int], LogLine] = {}
    for row in rows:
        after = row.pk
        for number, (at, text) in enumerate(json.loads(row.lines), row.first):
            moment = datetime.fromtimestamp(at, UTC)
            # a COMMIT whose answer was lost is repeated: the line stands there twice
            lines.setdefault(
                (row.run, row.start, number), LogLine(row.run, row.start, row.attempt, number, moment, text)
            )
    return sorted(lines.values(), key=lambda line: (line.run, line.start, line.number)), after


def steps_of(job_id: UUID) -> list[tuple[str, str, datetime]]:
    """The job's steps that are done: name, result as JSON, and when."""
    rows = Kept.objects.using(jobs_settings().database).filter(job_id=job_id, name__startswith=STEP).order_by("pk")
    return [(row.name.removeprefix(STEP), row.value, row.kept_at) for row in rows]


def forget(job_ids: Collection[UUID], alias: str, tables: Sequence[type[models.Model]] = TABLES) -> None:
    """Take away what these jobs told and kept; in the transaction of the caller."""
    for table in tables:
        rows = table._default_manager.using(alias)
        # where no task uses any of it, a look into an empty index is all that it costs
        if rows.filter(job_id__gte=UUID(int=0)).exists():
            rows.filter(job_id__in=list(job_ids))._raw_delete(alias)


#: Behind which job of each table to look next, and since when the jobs that nobody knows are missed.
_after: dict[str, UUID] = {}
_missed: dict[UUID, float] = {}


def forget_orphans() -> int:
    """Take away what is left of jobs that nobody knows any more: theirs came late, or they never had a row."""
    alias, now = jobs_settings().database, clock.monotonic()
    known: set[UUID] = set()
    unknown: set[UUID] = set()
    for table in TABLES:
        ids = _some_jobs(table, alias)
        queues = dict(ids)
        rows = set(Job.objects.using(alias).filter(pk__in=list(queues)).values_list("pk", flat=True))
        for job_id, queue in queues.items():
            (known if job_id in rows or _lives(queue, job_id) else unknown).add(job_id)
    for job_id in known:
        _missed.pop(job_id, None)
    for job_id in unknown:
        _missed.setdefault(job_id, now)
    gone = [job_id for job_id, since in _missed.items() if now - since >= ORPHAN_AFTER and job_id in unknown]
    if gone:
        with transaction.atomic(using=alias):
            forget(gone, alias)
    for job_id in [*gone, *(one for one, since in _missed.items() if now - since > 100 * ORPHAN_AFTER)]:
        _missed.pop(job_id, None)
    return len(gone)


def _tell_progress(job: ClaimedJob, progress: Progress) -> None:
    rows = JobProgress.objects.using(jobs_settings().database)
    values = {
        "told_by": job.claimed_at,
        "done": progress.done,
        "total": progress.total,
        "text": progress.text,
        "at": progress.at,
    }
    # what a start says that lost its job does not stand over what a later one says
    if not rows.filter(pk=job.id, told_by__lte=job.claimed_at).update(**values):
        rows.bulk_create([JobProgress(job_id=job.id, queue=job.queue, **values)], ignore_conflicts=True)


def _add_lines(job: ClaimedJob, lines: Sequence[Line]) -> Iterator[Part]:
    rows, parts = [], []
    for part in _in_parts(lines):
        text = json.dumps([line[1:] for line in part], ensure_ascii=False, separators=(",", ":"))
        start, attempt = job.starts + 1, job.attempts + 1
        values = {"job_id": job.id, "queue": job.queue, "run": job.run, "start": start, "attempt": attempt}
        rows.append(LogPart(**values, first=part[0][0], lines=text))
        parts.append((len(part), len(text.encode())))
    made = LogPart.objects.using(jobs_settings().database).bulk_create(rows)
    return (Part(row.pk, *size) for row, size in zip(made, parts, strict=True))


def _in_parts(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Lines of consecutive numbers, some at a time."""
    part: list[Line] = []
    size = 0
    for line in lines:
        length = len(line[2].encode())
        is_full = len(part) >= PART_LINES or size + length > PART_BYTES
        if part and (is_full or line[0] != part[-1][0] + 1):
            yield part
            part, size = [], 0
        part.append(line)
        size += length
    if part:
        yield part


def _cut(parts: list[Part]) -> None:
    """Remove the start's oldest rows while there are too many lines or bytes."""
    gone: list[int] = []
    while len(parts) > 1 and (
        sum(part.lines for part in parts) > MOST_LINES or sum(part.size for part in parts) > MOST_BYTES
    ):
        gone.append(parts.pop(0).pk)
    if gone:
        LogPart.objects.using(jobs_settings().database).filter(pk__in=gone).delete()


def _take(job: ClaimedJob, still_mine: Callable[[], bool]) -> None:
    """Let only this claim keep something, if it holds the job.

    The broker is asked while the row is held: a later claim comes after the answer, and so its word after this one.
    """
    with transaction.atomic(using=jobs_settings().database):
        _put(job, TOKEN, job.token)
        if not still_mine():
            raise LeaseLost(f"job {job.id} is no longer this worker's")


def _kept_as(job: ClaimedJob, name: str, value: str, *, stopped: bool) -> bool:
    alias, now = jobs_settings().database, clock.now()
    with transaction.atomic(using=alias):
        rows = Kept.objects.using(alias).filter(job_id=job.id)
        # holds the row until the commit: who opens it meanwhile waits, and reads what is written here
        if not rows.filter(name=TOKEN, value=job.token).update(kept_at=now):
            return False
        _put(job, name, value)
        if stopped:
            stops = _stops(rows.filter(name=STOPS).first(), job.run) + 1
            _put(job, STOPS, json.dumps({"run": job.run, "stops": stops}))
    return True


def _put(job: ClaimedJob, name: str, value: str) -> None:
    row = Kept(job_id=job.id, queue=job.queue, name=name, value=value, kept_at=clock.now())
    Kept.objects.using(jobs_settings().database).bulk_create(
        [row], update_conflicts=True, unique_fields=["job_id", "name"], update_fields=["value", "kept_at"]
    )


def _stops(row: Kept | None, run: int) -> int:
    found = json.loads(row.value) if row is not None else {}
    return int(found["stops"]) if found.get("run") == run else 0


def _some_jobs(table: type[models.Model], alias: str) -> list[tuple[UUID, str]]:
    """Some jobs of which the table holds something, in turn."""
    rows = table._default_manager.using(alias)
    if (last := _after.pop(table.__name__, None)) is not None:
        rows = rows.filter(job_id__gt=last)
    found = list(rows.order_by("job_id").values_list("job_id", "queue")[:ORPHANS])
    if len(found) == ORPHANS:
        _after[table.__name__] = found[-1][0]
    return found


def _lives(queue: str, job_id: UUID) -> bool:
    """Whether a job without a row lives, or has ended and the history has not heard of all that the queue tells."""
    broker = get_broker()
    if broker.rows_are_the_queue:
        return False
    try:
        return broker.find(queue, job_id) is not None or live.lag(queue).facts > 0
    except BrokerAway:
        return True
