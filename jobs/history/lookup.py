"""Finding jobs among a million: by state as shown, by id and its parts, in counts that stop early."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat, StrIndex
from django.utils.translation import gettext as _

from admin_lists.counts import CAP
from admin_lists.counts import Capped as Capped
from admin_lists.counts import capped_count as capped_count
from admin_lists.search import as_uuid

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..define.awaited import awaited_by
from ..define.masks import MASK as MASK
from ..define.masks import NO_MASK, Mask
from ..define.message import IncompleteMessage
from ..define.passed import NothingToTake, complete_message, is_incomplete
from ..define.sealing import is_sealed_result, opened_values
from ..defined import find_queue, find_task
from ..errors import BrokerAway, JobsError, UnknownJob, UnknownTask
from ..models import Job, QueueState
from ..states import Shown, State
from . import live

if TYPE_CHECKING:
    from ..define.task import Task

_LIVE = (Shown.SCHEDULED, Shown.WAITING, Shown.RETRYING, Shown.ACTIVE)
#: What the list can be asked for: every shown state, and `queued` for those that wait in any way.
STATES = ("queued", *(state.value for state in Shown))

#: Jobs of one key whose tasks are looked at.
OF_KEY = 100


@dataclass(frozen=True)
class Argument:
    """One argument of a job as people may see it: its parameter's name and its JSON value, or the mask."""

    name: str
    value: Any
    masked: bool = False


def capped(number: int) -> Capped:
    """A number that the broker counted: it stops at the same cap."""
    return Capped(number, more=number >= CAP)


def all_jobs() -> QuerySet[Job]:
    """Every job row, on the database that holds them."""
    return Job.objects.using(jobs_settings().database)


def queues_left_behind() -> frozenset[str]:
    """The queues whose jobs another broker keeps than the present one, the database: its workers take nothing there."""
    if not get_broker().rows_are_the_queue:
        return frozenset()
    rows = QueueState.objects.using(jobs_settings().database).filter(elsewhere=True)
    return frozenset(rows.values_list("queue", flat=True))


def find_job(job_id: UUID) -> Job:
    """The job's row as it is now, of a live job that has none yet what stands for it; raises `UnknownJob`."""
    row = live.row_of(job_id)
    if row is None:
        text = _("job %(id)s is not known: it never existed, or retention has removed it")
        raise UnknownJob(text % {"id": job_id})
    return row


def in_state(rows: QuerySet[Job], state: str, now: datetime | None = None) -> QuerySet[Job]:
    """Those of the jobs that a person would say are in `state`, one of `STATES`; raises ValueError for another."""
    if state not in STATES:
        raise ValueError(f"state {state!r} is not known; states are: {', '.join(STATES)}")
    now = now or clock.now()
    if state in ("queued", *_LIVE) and (active := live.active_ids()) is not None:
        # a start is no fact: the rows of jobs that run say `queued`
        if state == State.ACTIVE:
            return rows.filter(pk__in=active)
        rows = rows.exclude(pk__in=active)
    conditions = {
        Shown.SCHEDULED: Q(state=State.QUEUED, attempts=0, ready_at__gt=now),
        Shown.WAITING: Q(state=State.QUEUED, attempts=0, ready_at__lte=now),
        Shown.RETRYING: Q(state=State.QUEUED, attempts__gt=0),
    }
    return rows.filter(conditions.get(Shown(state), Q(state=state)) if state != State.QUEUED else Q(state=state))


def as_they_read(rows: Sequence[Job], state: str | None = None) -> list[Job]:
    """The jobs of a list as they are now, with `state` without those that are in another one by now.

    While their broker is away, and where the rows are the queue, as the rows say.
    """
    if get_broker().rows_are_the_queue:
        return list(rows)
    try:
        found = live.as_they_live(rows)
    except BrokerAway:
        return list(rows)
    now = clock.now()
    if state == State.QUEUED:
        return [job for job in found if job.state == state]
    return [job for job in found if not state or job.shown_state(now) == state]


def first_id_at(moment: datetime) -> UUID:
    """The lowest id that a job made at `moment` can have: ids are UUIDv7 and begin with the time."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def ranges_before(moment: datetime) -> tuple[Q, Q]:
    """What was made before the moment, in two ranges of ids, each a short look."""
    # the id is of the caller's clock, and one of people's own need not begin with a time: almost all such are beyond
    # those of today. created_at, of the database's clock, lets no younger job in
    beyond = first_id_at(clock.now() + timedelta(days=1))
    return Q(pk__lt=first_id_at(moment), created_at__lt=moment), Q(pk__gte=beyond, created_at__lt=moment)


def created_before(rows: QuerySet[Job], moment: datetime) -> QuerySet[Job]:
    """Those of the rows that were made before the moment."""
    usual, own = ranges_before(moment)
    return rows.filter(usual | own)


def created_since(rows: QuerySet[Job], moment: datetime) -> QuerySet[Job]:
    """Those of the rows that were made at the moment or later."""
    return rows.filter(pk__gte=first_id_at(moment), created_at__gte=moment)


def id_range(prefix: str) -> tuple[UUID, UUID]:
    """The lowest and highest id that begin with these hexadecimal digits."""
    return UUID(hex=prefix.ljust(32, "0")), UUID(hex=prefix.ljust(32, "f"))


def about(rows: QuerySet[Job], types: Sequence[str], ids: Sequence[str]) -> QuerySet[Job]:
    """Those of the jobs that are about an object with one of these model labels and primary keys."""
    # the exclusion says to SQLite, which cannot conclude it, that the partial index holds every such row
    return rows.filter(about_type__in=types, about_id__in=ids).exclude(about_type="")


def tagged(rows: QuerySet[Job], tag: str) -> QuerySet[Job]:
    """Those of the jobs that carry the tag."""
    # exactly, also where SQLite's LIKE takes an a for an A; the exclusion lets it use the partial index
    place = StrIndex(F("tags"), Value(json.dumps(tag, ensure_ascii=False)))
    return (
        rows.exclude(tags="")
        .alias(**{f"place_of_{tag.encode().hex()}": place})
        .filter(**{f"place_of_{tag.encode().hex()}__gt": 0})
    )


def by_no_index(rows: QuerySet[Any], column: str, value: str) -> QuerySet[Any]:
    """The rows with this value, in words that no index has: SQLite may take any index that fits, whatever it brings."""
    found: QuerySet[Any] = rows.alias(**{f"plain_{column}": Concat(column, Value(""))})
    return found.filter(**{f"plain_{column}": value})


def queues_with_jobs() -> list[str]:
    """The names of all queues that have a row, also of those that no code defines any more; a few index look-ups."""
    return list(_distinct("queue"))


def about_types() -> list[str]:
    """The model labels that jobs are about; a few index look-ups."""
    return [label for label in _distinct("about_type") if label]


def types_named(label: str) -> list[str]:
    """Those of `about_types` that people mean by a word: the whole label or the model's name, in any letter case."""
    return [one for one in about_types() if label.lower() in (one, one.partition(".")[2])]


def spellings_of(key: str) -> list[str]:
    """How an object's primary key may stand in a job: as it is written, and a UUID with and without hyphens."""
    key = key.strip()
    whole = as_uuid(key)
    return [key, *((str(whole), whole.hex) if whole else ())]


def task_of(job: Job) -> Task | None:
    """The task that would run this job, or None if no code defines it."""
    try:
        return find_queue(job.queue).find_task(job.task) or find_task(job.task)
    except (UnknownTask, JobsError):
        return None


def mask_of(job: Job) -> Mask:
    """What takes the job's personal arguments out of a text that people may see (DESIGN G13)."""
    task = task_of(job)
    if task is None or not task.personal:
        return NO_MASK
    message = job.message
    if is_incomplete(message):
        with suppress(NothingToTake, IncompleteMessage):  # it has not started
            message = complete_message(message, awaited_by(job.pk))
    return Mask(task.signature, message)


def shown_key(job: Job) -> str | None:
    """The job's key as people may see it."""
    return mask_of(job)(job.key) if job.key else job.key


def with_key(rows: QuerySet[Job], key: str) -> QuerySet[Job]:
    """Those of the jobs with this key, as people may see it: a guess at what a mask hides in it finds nothing."""
    rows = rows.filter(key=key)
    one_of_each = {job.task: job for job in rows.order_by().only("task", "queue", "key")[:OF_KEY]}
    hidden = [task for task, job in one_of_each.items() if shown_key(job) != key]
    return rows.exclude(task__in=hidden) if hidden else rows


def shown_result(job: Job) -> Any:
    """What the task returned, as JSON values that people may see; the stored text where it cannot be read."""
    if job.result is None:
        return None
    if is_sealed_result(job.result):
        return MASK
    mask = mask_of(job)
    try:
        return mask.of_value(json.loads(job.result))
    except (ValueError, RecursionError):
        return mask(job.result)


def arguments(job: Job) -> list[Argument]:
    """The job's arguments with their parameters' names; those the task calls personal are masked (DESIGN G13).

    So are their values where they stand in others.
    """
    mask = mask_of(job)
    return [
        Argument(mask(one.name), MASK, masked=True) if one.masked else Argument(one.name, mask.of_value(one.value))
        for one in _named(job)
    ]


def personal_arguments(job: Job) -> list[Argument]:
    """All arguments as they are, those that are masked elsewhere as well; encrypted ones as far as the keys fit."""
    return [Argument(one.name, opened_values(one.value), one.masked) for one in _named(job)]


def _named(job: Job) -> list[Argument]:
    """The arguments as they are stored, with their parameters' names; `masked`: the task calls it personal."""
    args, kwargs = job.args, job.kwargs
    task = task_of(job)
    personal: frozenset[str] = task.personal if task else frozenset()
    try:
        bound = task.signature.signature.bind(*args, **kwargs) if task else None
    except TypeError:
        bound = None
    if task is None or bound is None:
        # the positions no longer tell which argument is which: with anything personal, show none of them
        named = [Argument(name, value, name in personal) for name, value in kwargs.items()]
        return [*(Argument(str(i), value, bool(personal)) for i, value in enumerate(args, 1)), *named]
    return [
        Argument(name, value, hidden)
        for parameter, given in bound.arguments.items()
        for name, value, hidden in _spread(task.signature.signature.parameters[parameter], given, personal)
    ]


def _spread(parameter: inspect.Parameter, given: Any, personal: frozenset[str]) -> Iterator[tuple[str, Any, bool]]:
    hidden = parameter.name in personal
    if parameter.kind is parameter.VAR_KEYWORD:
        for name, value in given.items():
            yield name, value, hidden
    elif parameter.kind is parameter.VAR_POSITIONAL:
        yield f"*{parameter.name}", list(given), hidden
    else:
        yield parameter.name, given, hidden


def _distinct(column: str) -> Iterator[str]:
    value: str | None = ""
    while True:
        later = all_jobs().filter(**{f"{column}__gt": value}).exclude(**{column: ""})
        value = later.order_by(column).values_list(column, flat=True).first()
        if value is None:
            return
        yield value
