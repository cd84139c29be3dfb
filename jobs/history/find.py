"""The jobs that a query finds, at a million rows: indexes narrow down, and no look reads more than a bounded window."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from admin_lists.counts import CAP, Capped, capped_count
from admin_lists.search import FOUND, as_uuid, found

from ..models import Job
from ..states import State
from . import lookup
from .query import Query

#: Windows of rows, newest first, in which the looks without an index of their own search.
WINDOW_IDS = 100_000
WINDOW = 10_000
#: Jobs whose arguments one search reads.
MOST_READ = 1_000
#: States in which a job has an error.
WITH_ERROR = (State.FAILED, State.QUEUED)
_HEX = re.compile(r"[0-9a-f]{4,31}\Z")

Rows = QuerySet[Job]
#: Parts of the rows that together are all of them, each of which an index has in order.
Parts = Callable[[Rows], Sequence[Rows]]


@dataclass(frozen=True)
class Found:
    """What a query finds: `rows`, and in `notes` how far was searched, in words.

    Without `is_whole` these are the newest ones that were found; there may be more.
    """

    rows: Rows
    notes: Sequence[str] = ()
    is_whole: bool = True


def find(query: Query, rows: Rows, now: datetime, parts: Parts | None = None) -> Found:
    """Those of the rows that the query means, as far as a page can search; raises `InvalidOption`."""
    narrowed = query.narrow(rows, now)
    if not query.is_looked_for:
        return Found(narrowed)
    looked, notes = narrowed, []
    is_few = query.names_one
    if query.text:
        looked, is_few = found(looked, places(looked, query.text)), True
        if not as_uuid(query.text) and any(_has_more(narrowed.filter(state=state)) for state in WITH_ERROR):
            text = _("The newest %(count)s errors were searched; for older ones give a time: created:2026-11-20.")
            notes.append(text % {"count": number_format(WINDOW, force_grouping=True)})
        if query.unknown and not looked.exists():
            text = ngettext(
                "%(words)s: this is no filter, so it was searched for as a text.",
                "%(words)s: these are no filters, so they were searched for as a text.",
                len(query.unknown),
            )
            notes.append(text % {"words": ", ".join(query.unknown)})
    if is_few:
        looked = query.look(looked)
        if query.args:
            looked = looked.filter(pk__in=_with_argument(looked, query.args, FOUND)[0])
        return Found(looked, notes, is_whole=not query.text)
    ids, is_cut, is_full = _in_windows(query, (parts or _whole)(narrowed))
    if is_cut:
        text = _("The newest %(count)s jobs of the filter were searched; for older ones narrow it, by a time say.")
        notes.append(text % {"count": number_format(WINDOW, force_grouping=True)})
    elif is_full:
        notes.append(_("These are the newest %(count)d; there are more.") % {"count": FOUND})
    return Found(rows.filter(pk__in=ids), notes, is_whole=not (is_cut or is_full))


def count(query: Query, rows: Rows, now: datetime, parts: Parts) -> tuple[Capped, bool]:
    """How many jobs the query means, in the windows of a page; whether these hold all of them."""
    number, is_whole = 0, True
    for part in parts(query.narrow(rows, now)):
        bounded, is_cut = _window(part)
        is_whole = is_whole and not is_cut
        seen = capped_count(query.look(bounded), CAP - number)
        number += seen.number
        if seen.more:
            return Capped(CAP, more=True), is_whole
    return Capped(number), is_whole


def parts_of(rows: Rows, query: Query, queue: str = "", state: str = "") -> Sequence[Rows]:
    """Parts of the rows of a query and a queue and state beside it, each of which an index has in order of time."""
    queue, state = query.queue or queue, query.state or state
    if query.names_one or query.task or state:
        return [rows]
    if query.error:
        return [rows.filter(state=state) for state in WITH_ERROR]
    if query.group:
        return [rows] if queue else [rows.filter(queue=queue) for queue in lookup.queues_with_jobs()]
    return [rows.filter(state=state) for state in State] if queue else [rows]


def places(rows: Rows, text: str) -> Iterator[Rows]:
    """Where a text may name a job, the cheapest first: id (also its head or tail), event id, object, key, error text.

    Each query is cut off by the caller.
    """
    rows = rows.order_by("-pk")
    whole = as_uuid(text)
    if whole is not None:
        yield rows.filter(pk=whole)
        yield rows.filter(event_id=whole)
        yield lookup.about(rows, lookup.about_types(), [str(whole), whole.hex])
        return
    label, colon, key = text.partition(":")
    if colon and key:
        yield lookup.about(rows, lookup.types_named(label), lookup.spellings_of(key))
    digits = text.lower().replace("-", "")
    if _HEX.match(digits):
        yield rows.filter(pk__range=lookup.id_range(digits))
        # PostgreSQL's text of an id has hyphens, SQLite's none
        tail = text.lower() if connections[rows.db].vendor == "postgresql" else digits
        yield _newest(rows.values_list("id"), WINDOW_IDS, "CAST(id AS text) LIKE %s", f"%{tail}")
    yield lookup.about(rows, lookup.about_types(), [text])
    yield lookup.with_key(rows, text)
    part = f"%{connections[rows.db].ops.prep_for_like_query(text)}%"
    for state in WITH_ERROR:
        errors = rows.filter(state=state).values_list("id", "error")
        yield _newest(errors, WINDOW, r"UPPER(error) LIKE UPPER(%s) ESCAPE '\'", part)


def _newest(rows: QuerySet[Any], window: int, condition: str, value: str) -> Rows:
    """The jobs of those of the newest rows that meet the condition: a walk along an index that ends with the window.

    The ORM has no filter behind a limit, and of `id IN (… LIMIT n)` PostgreSQL makes a scan of the whole table.
    """
    newest, params = rows[:window].query.get_compiler(rows.db).as_sql()
    found = RawSQL(f"SELECT id FROM ({newest}) AS newest WHERE {condition}", [*params, value])
    return Job.objects.using(rows.db).filter(pk__in=found).order_by("-pk")


def _whole(rows: Rows) -> Sequence[Rows]:
    return [rows]


def _has_more(rows: Rows) -> bool:
    return capped_count(rows, WINDOW).more


def _window(rows: Rows) -> tuple[Rows, bool]:
    """The newest of the rows, and whether there are more: up to an id, which is a range that each index can walk."""
    last = list(rows.order_by("-pk").values_list("pk", flat=True)[WINDOW - 1 : WINDOW + 1])
    return (rows.filter(pk__gte=last[0]) if last else rows), len(last) > 1


def _in_windows(query: Query, parts: Sequence[Rows]) -> tuple[list[UUID], bool, bool]:
    """The newest that are found in the window of each part; whether a window was cut off, whether more were found."""
    ids: list[UUID] = []
    is_cut = is_full = False
    for part in parts:
        bounded, has_more = _window(part)
        is_cut, looked = is_cut or has_more, query.look(bounded)
        if query.args:
            found, has_more = _with_argument(looked, query.args, FOUND)
            is_cut = is_cut or has_more
        else:
            found = list(looked.order_by("-pk").values_list("pk", flat=True)[: FOUND + 1])
        ids += found
    is_full = len(ids) > FOUND
    return sorted(ids, reverse=True)[:FOUND], is_cut, is_full


def _with_argument(rows: Rows, text: str, most: int) -> tuple[list[UUID], bool]:
    """The newest that hold the text in arguments that people may see; whether not all were read.

    What a task calls personal is masked before it is compared: a search tells nothing that a page would not show.
    """
    held = _as_held(text)
    wanted = held.casefold()
    ids: list[UUID] = []
    jobs = rows.filter(message__icontains=held).order_by("-pk").defer("result")[: MOST_READ + 1]
    for read, job in enumerate(jobs):
        if read == MOST_READ or len(ids) > most:
            return ids, True
        shown = ({one.name: one.value} for one in lookup.arguments(job) if not one.masked)
        if any(wanted in json.dumps(one, ensure_ascii=False).casefold() for one in shown):
            ids.append(job.pk)
    return ids, False


def _as_held(text: str) -> str:
    """The text as JSON holds it within others."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
