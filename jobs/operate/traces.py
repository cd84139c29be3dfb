"""Where jobs and attempts hold traces of an object, and how they are emptied. See `jobs.operate.erase`.

Walks over whole tables in pieces by primary key, a short statement each; changes rows by short transactions. No state
is written here: what must end is ended by the broker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from ..broker import get_broker
from ..broker.records import CancelAnswer
from ..define.masks import Mask, spellings_of
from ..define.passed import BEGINNING
from ..define.sealing import MARK, opened_message
from ..errors import UnknownJob
from ..history import inside, live, lookup
from ..models import Attempt, Edge, Job, JobProgress, Kept, LogPart, Operation, Throttle
from ..reasons import ERASED
from ..states import ENDED, State
from .cancel import cancel_now
from .subjects import Erased, Subject

#: Rows that one statement looks through, and ids that one looks for.
PIECE, IDS = 20_000, 200
#: What stands in place of a job's arguments.
NO_MESSAGE = '{"erased": true}'
#: Letters and digits of a text that escapes leave as they are, and how many such parts are looked for.
_UNCHANGED, PARTS = re.compile("[A-Za-z0-9]{3,}"), 3
_TEXTS_OF_JOB = ("error", "reason", "result")
_TEXTS_OF_ATTEMPT = ("error", "traceback")
_TEXTS_OF_EDGE = ("error", "result")
_TEXTS_OF_OPERATION = ("first_refusal", "problem", "chosen")
#: Columns that hold JSON.
_JSON = ("result", "lines", "value", "chosen")


def erase(subjects: Sequence[Subject], texts: Sequence[str], spare: Collection[str], known: Collection[UUID]) -> Erased:
    """Empty the subjects' jobs and take the texts out of others; see `jobs.operate.erase.erase_jobs`."""
    live.hear_all()
    jobs = lookup.all_jobs().exclude(task__in=spare)
    own = sorted({*_jobs_of(jobs, subjects, texts), *known})
    cancelled = sum(_is_cancelled(queue, job_id) for job_id, queue in _not_ended(jobs, own))
    live.hear_all()
    for piece in _pieces(own):
        _empty(jobs, piece)
    running = [
        job_id
        for piece in _pieces(own)
        for job_id in jobs.filter(pk__in=piece).exclude(state__in=ENDED).values_list("pk", flat=True)
    ]
    mentions = _take_out(lookup.all_jobs(), _TEXTS_OF_JOB, texts) if texts else 0
    attempts = Attempt.objects.using(jobs.db)
    if texts:
        mentions += _take_out(attempts.all(), _TEXTS_OF_ATTEMPT, texts) + _take_out_inside(jobs.db, texts)
        mentions += _take_out(Edge.objects.using(jobs.db).all(), _TEXTS_OF_EDGE, texts)
        mentions += _take_out(Operation.objects.using(jobs.db).all(), _TEXTS_OF_OPERATION, texts)
        _end_throttles(jobs.db, texts)
    return Erased(len(own), cancelled, mentions, tuple(running))


def _end_throttles(alias: str, texts: Sequence[str]) -> None:
    mask, throttles = Mask.of_texts(texts, ERASED), Throttle.objects.using(alias)
    for found in _walk(throttles.all(), _mentions(("key",), texts)):
        throttles.filter(pk__in=[one.pk for one in throttles.filter(pk__in=found) if mask(one.key) != one.key]).delete()


def _jobs_of(jobs: QuerySet[Job], subjects: Sequence[Subject], texts: Sequence[str]) -> set[UUID]:
    """The jobs that are about the subjects, or carry them or the texts in their arguments."""
    own: set[UUID] = set()
    mask = Mask.of_texts(texts, ERASED)
    for label in {subject.label for subject in subjects}:
        ids = [subject.id for subject in subjects if subject.label == label]
        for start in range(0, len(ids), IDS):
            own.update(lookup.about(jobs, [label], ids[start : start + IDS]).values_list("pk", flat=True))
    by_id = {id: subject for subject in subjects for id in (subject.id.lower(), subject.id.lower().replace("-", ""))}
    named = sorted(by_id)
    conditions = [_mentions(("message", "key"), texts)] if texts else []
    conditions.append(Q(message__contains=MARK))  # encrypted: nobody sees what is in there but by reading it
    conditions += [Q(message__iregex=_any_of(named[start : start + IDS])) for start in range(0, len(named), IDS)]
    for condition in conditions:
        for found in _walk(jobs, condition):
            new = jobs.filter(pk__in=[pk for pk in found if pk not in own])
            own.update(job.pk for job in new if _carries(job, by_id, mask))
    _add_who_took(jobs, own, named, texts)
    return own


def _add_who_took(jobs: QuerySet[Job], own: set[UUID], named: Sequence[str], texts: Sequence[str]) -> None:
    """Add those whose arguments are, in part, what one of these jobs returned, or what carries the person."""
    edges = Edge.objects.using(jobs.db)
    conditions = [_mentions(("result",), texts)] if texts else []
    conditions += [Q(result__iregex=_any_of(named[start : start + IDS])) for start in range(0, len(named), IDS)]
    waiting: set[UUID] = set()
    for condition in conditions:
        for found in _walk(edges, condition):
            waiting.update(edges.filter(pk__in=found).values_list("waiting_id", flat=True))
    waiting |= _waiting_for(edges, own)
    while waiting := waiting - own:
        new: set[UUID] = set()
        for piece in _pieces(list(waiting)):
            new.update(jobs.filter(pk__in=piece, message__startswith=BEGINNING).values_list("pk", flat=True))
        own |= new
        waiting = _waiting_for(edges, new)


def _waiting_for(edges: QuerySet[Edge], jobs: Collection[UUID]) -> set[UUID]:
    found: set[UUID] = set()
    for piece in _pieces(list(jobs)):
        found.update(edges.filter(awaited_id__in=piece).values_list("waiting_id", flat=True))
    return found


def _carries(job: Job, subjects: dict[str, Subject], mask: Mask) -> bool:
    job.message = opened_message(job.message)  # here alone: the row is not written
    if any(mask(held) != held for held in (job.message, job.key or "")):
        return True
    for name, value in _arguments(job):
        subject = subjects.get(str(value).lower())
        # without a name nobody can tell what the id stands for
        if subject is not None and name in (subject.parameter, None):
            return True
    return False


def _arguments(job: Job) -> Iterator[tuple[str | None, Any]]:
    """The arguments with their parameters' names; no name where no code tells it."""
    task = lookup.task_of(job)
    try:
        bound = task.signature.signature.bind(*job.args, **job.kwargs) if task else None
    except TypeError:
        bound = None
    if bound is not None:
        yield from bound.arguments.items()
        return
    yield from ((None, value) for value in job.args)
    yield from job.kwargs.items()


def _not_ended(jobs: QuerySet[Job], ids: Sequence[UUID]) -> Iterator[tuple[UUID, str]]:
    """Those of the jobs that may still start, with their queues: also dead letters, which a person could retry."""
    for piece in _pieces(ids):
        ended = ENDED - {State.FAILED}
        yield from list(jobs.filter(pk__in=piece).exclude(state__in=ended).values_list("pk", "queue"))


def _is_cancelled(queue: str, job_id: UUID) -> bool:
    try:
        return cancel_now(queue, job_id, ERASED) is CancelAnswer.CANCELLED
    except UnknownJob:  # it has ended meanwhile, or was removed
        return False


def _empty(jobs: QuerySet[Job], ids: Sequence[UUID]) -> None:
    for job in jobs.filter(pk__in=ids, state__in=ENDED, key__isnull=False).only("queue", "key"):
        # a throttle may hold it longer than the job lived
        get_broker().release_key(job.queue, job.key or "", job.pk)
    with transaction.atomic(using=jobs.db):
        # one that runs is emptied when it has ended: by its arguments it is found again
        ended = jobs.filter(pk__in=ids, state__in=ENDED)
        ended.update(message=NO_MESSAGE, key=None, result=None, error="", reason=ERASED)
        Attempt.objects.using(jobs.db).filter(job_id__in=ids).update(error="", traceback="")
        # what those that waited for them read of their ends
        Edge.objects.using(jobs.db).filter(awaited_id__in=ids).exclude(state="").update(result=None, error="")
        # and what those that have ended read of others, which may have been their arguments
        over = list(ended.values_list("pk", flat=True))
        Edge.objects.using(jobs.db).filter(waiting_id__in=over).exclude(state="").update(result=None, error="")
        # what one that runs keeps stays until then: without it, its next start would do its steps again
        inside.forget(ids, jobs.db, (JobProgress, LogPart))
        inside.forget(over, jobs.db, (Kept,))


def _take_out(rows: QuerySet[Any], columns: Sequence[str], texts: Sequence[str]) -> int:
    """Write `erased` where one of the texts stands in the columns; returns how many rows changed."""
    mask = Mask.of_texts(texts, ERASED)
    changed = 0
    for found in _walk(rows, _mentions(columns, texts)):
        for row in rows.filter(pk__in=found):
            values = {name: getattr(row, name) for name in columns if getattr(row, name)}
            clean = {name: _cleaned(name, value, mask) for name, value in values.items()}
            # a job that has changed meanwhile is found again when this is repeated
            changed += rows.filter(pk=row.pk, **values).update(**clean) if clean != values else 0
    return changed


def _take_out_inside(alias: str, texts: Sequence[str]) -> int:
    """The same of what tasks told and kept."""
    kept = Kept.objects.using(alias)
    changed = _take_out(JobProgress.objects.using(alias).all(), ("text",), texts)
    changed += _take_out(LogPart.objects.using(alias).all(), ("lines",), texts)
    changed += _take_out(kept.filter(name__startswith=inside.STEP), ("value",), texts)
    mask = Mask.of_texts(texts, ERASED)
    cursors = kept.filter(name__startswith=inside.ITEMS)
    for found in _walk(cursors, _mentions(("value",), texts)):
        # an iteration without its cursor begins anew; with another text in it, it would pass over items
        gone = [row.pk for row in cursors.filter(pk__in=found) if mask(row.value) != row.value]
        changed += cursors.filter(pk__in=gone).delete()[0]
    return changed


def _cleaned(column: str, value: str, mask: Mask) -> str:
    if column not in _JSON or mask(value) == value:
        return mask(value)
    # which says of a result that it was a tuple
    mark = value[: len(value) - len(value.lstrip(" "))]
    try:
        # a number stays one, unless it is the person's
        return mark + json.dumps(mask.of_value(json.loads(value)), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return mask(value)


def _walk(rows: QuerySet[Any], condition: Q) -> Iterator[list[Any]]:
    """The primary keys of the rows that meet the condition, piece by piece."""
    last: Any = None
    while True:
        part = rows if last is None else rows.filter(pk__gt=last)
        end = part.order_by("pk").values_list("pk", flat=True)[PIECE - 1 : PIECE].first()
        piece = part if end is None else part.filter(pk__lte=end)
        found = list(piece.filter(condition).values_list("pk", flat=True))
        if found:
            yield found
        if end is None:
            return
        last = end


def _mentions(columns: Sequence[str], texts: Sequence[str]) -> Q:
    """What may hold one of the texts: SQL knows no escapes, so it looks for what none of them changes."""
    condition = Q()
    for name in columns:
        for text in texts:
            parts = sorted(_UNCHANGED.findall(text), key=len, reverse=True)[:PARTS]
            if parts:
                condition |= reduce(and_, (Q(**{f"{name}__icontains": part}) for part in parts))
            else:
                condition |= reduce(or_, (Q(**{f"{name}__icontains": way}) for way in spellings_of(text)))
    return condition


def _any_of(ids: Sequence[str]) -> str:
    """A pattern, for every vendor, of these ids where nothing goes on before or behind them."""
    return f"(^|[^0-9a-z-])({'|'.join(re.escape(id) for id in ids)})([^0-9a-z-]|$)"


def _pieces(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), IDS):
        yield ids[start : start + IDS]
