"""Operations: what a person does to all jobs that the admin's list shows, worked off by keepers.

A row says what, to which jobs and how far it is; whoever keeps takes the next piece, as the verb's one job at a time
does it. A keeper that dies with a piece leaves the rest of it to another; what is done already is not meant any more.
"""

from __future__ import annotations

import json
import logging
import zoneinfo
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import InterfaceError, OperationalError
from django.db.models import F, QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from admin_lists.counts import capped_count

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..errors import BrokerAway, InvalidOption
from ..history import live, lookup
from ..history.query_text import parse
from ..models import Job, Operation, Verb
from ..states import State
from .by_filter import Progress, act_for, check_pace, next_piece, rows_of
from .reach import VIEW, has_permission, in_both, visible_scopes

logger = logging.getLogger("jobs.operate")

#: Jobs of one piece: it is done in a part of a second.
PIECE = 50
#: For how long a keeper holds a piece, and for how long one rests whose broker is away.
LEASE, REST = timedelta(seconds=60), timedelta(seconds=5)
#: For how long an operation is known after its end.
KEPT = timedelta(days=30)
#: Ids that an operation may name one by one.
MOST_IDS = 1_000
#: What it takes to do each.
PERMISSIONS = {verb.value: f"jobs.{verb.value}_job" for verb in Verb}


@dataclass(frozen=True)
class Listed:
    """Jobs as the admin's list shows them: the values of its filters; None and empty are not asked for.

    `since`: created then or later; `about`: `label:key`; `query`: of the query box, as it was meant at the moment
    `asked` in the time zone `zone`; `scopes`: of these only; `ids`: what a search has found.
    """

    state: str = ""
    queue: str = ""
    task: str = ""
    since: str = ""
    event_id: str = ""
    parent_id: str = ""
    about: str = ""
    cause: str = ""
    query: str = ""
    asked: str = ""
    zone: str = ""
    scopes: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None

    def rows(self, now: datetime) -> QuerySet[Job]:
        """Their rows."""
        found = lookup.all_jobs()
        for name in ("queue", "task", "event_id", "parent_id"):
            if value := getattr(self, name):
                found = found.filter(**{name: value})
        if self.cause:
            found = found.filter(cause=self.cause, state=State.FAILED)
        if self.about:
            label, _colon, key = self.about.partition(":")
            found = lookup.about(found, [label], [key])
        if self.since:
            found = lookup.created_since(found, datetime.fromisoformat(self.since))
        if self.query:
            asked = datetime.fromisoformat(self.asked)
            zone = zoneinfo.ZoneInfo(self.zone) if self.zone else asked.tzinfo
            found = parse(self.query, asked, zone).rows(found, now)
        if self.scopes is not None:
            found = found.filter(scope__in=self.scopes)
        return found if self.ids is None else found.filter(pk__in=self.ids)

    def text(self) -> str:
        """As it is stored: what is asked for."""
        return json.dumps({name: value for name, value in asdict(self).items() if value not in ("", None)})

    @classmethod
    def of_text(cls, text: str) -> Listed:
        """What was stored."""
        found: dict[str, Any] = json.loads(text)
        for name in {"scopes", "ids"} & found.keys():
            found[name] = tuple(found[name])
        return cls(**found)


def all_operations() -> QuerySet[Operation]:
    """Every operation, on the database that holds the jobs."""
    return Operation.objects.using(jobs_settings().database)


def begin(
    verb: str, chosen: Listed, by: AbstractBaseUser, *, pace: float | None = None, upto: UUID | None = None
) -> Operation | None:
    """State the operation; keepers do it, oldest first, at most `pace` jobs a second. None: no such job is there.

    Jobs that are younger than `upto`, or than this moment, are left alone. Raises `InvalidOption`.
    """
    check_pace(pace)
    if chosen.ids is not None and len(chosen.ids) > MOST_IDS:
        raise InvalidOption(f"{len(chosen.ids):,} ids: an operation names at most {MOST_IDS:,}; give a filter")
    live.hear()
    now = get_broker().now()
    rows = rows_of(verb, chosen, now)
    rows = rows if upto is None else rows.filter(pk__lte=upto)
    newest = rows.order_by("-pk").values_list("pk", flat=True).first()
    if newest is None:
        return None
    return all_operations().create(
        verb=verb,
        chosen=chosen.text(),
        by_id=str(by.pk),
        language=translation.get_language() or "",
        pace=pace,
        newest=newest,
        last=UUID(int=0),
        total=capped_count(rows).number,
        created_at=now,
        next_at=now,
    )


def stop(operation: Operation) -> bool:
    """End it; a piece that is under way is finished. False: it has ended already."""
    still = all_operations().filter(pk=operation.pk, ended_at=None)
    return bool(still.update(ended_at=get_broker().now(), stopped=True))


def work(go_on: Callable[[], bool]) -> int:
    """Do pieces of those that are due, in turn, as long as `go_on` says so; returns how many jobs had their turn."""
    worked = 0
    while go_on():
        due = all_operations().filter(ended_at=None, next_at__lte=get_broker().now())
        row = due.order_by("next_at").first()
        if row is None:
            break
        worked += _work_piece(row)
    return worked


def forget_operations() -> int:
    """Remove those that ended long ago; returns how many."""
    old = all_operations().filter(ended_at__lt=get_broker().now() - KEPT).order_by("ended_at")
    return int(all_operations().filter(pk__in=list(old.values_list("pk", flat=True)[:PIECE])).delete()[0])


def people_of(operations: Iterable[Operation]) -> dict[str, AbstractBaseUser]:
    """Who began them, by `by_id`; who is not there any more is left out."""
    found = get_user_model()._default_manager.in_bulk({one.by_id for one in operations})
    return {str(pk): user for pk, user in found.items()}


def _work_piece(row: Operation) -> int:
    """Do a piece, or as much of it as half the time for which it is held allows."""
    now, began = get_broker().now(), clock.monotonic()
    held_until = now + LEASE
    # of any number of keepers one takes the piece
    free = all_operations().filter(pk=row.pk, ended_at=None, last=row.last, next_at=row.next_at)
    if not free.update(next_at=held_until):
        return 0
    size = PIECE if row.pace is None else max(1, min(PIECE, int(row.pace / 2)))
    next_at = now if row.pace is None else now + timedelta(seconds=size / row.pace)
    by = people_of([row]).get(row.by_id)
    seen, last, worked = Progress(total=row.total, first_refusal=row.first_refusal), row.last, 0
    try:
        with translation.override(row.language or None):
            chosen = None if by is None else _within_reach(Listed.of_text(row.chosen), by, row.verb)
            if chosen is None:
                _end(row, _("whoever began it may not do this any more"))
                return 0
            ids = next_piece(row.verb, chosen, last, row.newest, size)
            # of what has ended meanwhile nothing is removed
            act = act_for(row.verb, by, {"only_dead": True} if row.verb == Verb.DISCARD else {})
            for id in ids:
                if clock.monotonic() - began > LEASE.total_seconds() / 2:
                    break
                seen, last, worked = act([id], seen), id, worked + 1
    except (BrokerAway, OperationalError, InterfaceError):
        _note(row, seen, last, now + REST, held_until)
        raise
    except Exception as error:  # else it would be tried for ever
        logger.exception("operation_failed id=%s", row.pk)
        _note(row, seen, last, now, held_until)
        _end(row, f"{type(error).__name__}: {error}")
        return 0
    is_mine = _note(row, seen, last, next_at, held_until)
    if is_mine and worked == len(ids) < size:
        _end(row)
    return worked


def _note(row: Operation, seen: Progress, last: UUID, next_at: datetime, held_until: datetime) -> bool:
    """Write down how far it is; False: this keeper was so slow that another has gone on from before its piece."""
    one = all_operations().filter(pk=row.pk)
    one.update(done=F("done") + seen.done, refused=F("refused") + seen.refused)
    mine = one.filter(next_at=held_until)
    return bool(mine.update(first_refusal=seen.first_refusal[:250], last=last, next_at=next_at))


def _end(row: Operation, problem: str = "") -> None:
    still = all_operations().filter(pk=row.pk, ended_at=None)
    if still.update(ended_at=get_broker().now(), problem=" ".join(problem.split())[:250]):
        logger.info("operation_ended id=%s verb=%s problem=%s", row.pk, row.verb, problem or "-")


def _within_reach(chosen: Listed, by: AbstractBaseUser, verb: str) -> Listed | None:
    """Those of the jobs that this person may still do this to; None: of none."""
    scopes = chosen.scopes
    for permission in (VIEW, PERMISSIONS[verb]):
        if not has_permission(by, permission):
            return None
        scopes = in_both(scopes, visible_scopes(by, permission))
    return None if scopes == () else replace(chosen, scopes=scopes)
