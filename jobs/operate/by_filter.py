"""The verbs for many jobs: all that a filter means, one after the other, at a pace, until somebody stops it.

An operation, not a request: in pieces of one short transaction each, so that no worker waits for long. What is done
stays done if it is broken off, and the same call again does the rest. Jobs that are enqueued meanwhile are left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q, QuerySet

from .. import clock, reasons
from ..broker import get_broker
from ..errors import BrokerAway, InvalidOption, JobsError, Refused, UnknownJob
from ..history import live, lookup
from ..history.choice import JobFilter, in_shown_state
from ..models import Job
from ..states import ENDED, LIVE, State
from .cancel import cancel, cancel_waiting
from .change import reschedule, set_priority
from .clean import CHUNK, check_limit
from .discard import discard
from .promote import promote
from .retry import retry

_WAITING = frozenset({State.PENDING, State.QUEUED})
_CHANGED = _WAITING | {State.BLOCKED}
#: By the verb: what it does to one job, in which states jobs are looked for, and where the filter names none.
VERBS: dict[str, tuple[Callable[..., Any], frozenset[State], frozenset[State]]] = {
    "cancel": (cancel, LIVE, LIVE),
    "discard": (discard, ENDED, frozenset({State.FAILED})),
    "promote": (promote, _WAITING, _WAITING),
    "reschedule": (reschedule, _CHANGED, _CHANGED),
    "retry": (retry, frozenset({State.FAILED}), frozenset({State.FAILED})),
    "set_priority": (set_priority, _CHANGED, _CHANGED),
}
#: The most jobs a second that can be asked for.
FASTEST = 100_000


class Choice(Protocol):
    """What says which jobs are meant."""

    @property
    def state(self) -> str:
        """The state in which they read, if one is asked for."""

    def rows(self, now: datetime) -> QuerySet[Job]:
        """Their rows, in whatever state."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation on many jobs has come.

    `total`: how many the filter meant when it began; `refused`: in another state by their turn, the first one's reason
    in `first_refusal`. `done` and `refused` together may be less in the end: some have gone elsewhere.
    """

    total: int
    done: int = 0
    refused: int = 0
    first_refusal: str = ""


def act_on(
    verb: str,
    chosen: JobFilter,
    *,
    pace: float | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    progress: Callable[[Progress], object] | None = None,
    by: AbstractBaseUser | None = None,
    **given: Any,
) -> Progress:
    """Do it to every job that is meant: `cancel`, `promote`, `retry`, `discard`, `reschedule` or `set_priority`.

    `given`: what the verb takes beside the job (`delay=` or `at=`, `priority=`). Oldest first, at most `limit`, at most
    `pace` a second; `progress` is called after every piece, and what it raises ends the operation, as Ctrl-C does.
    `dry_run` counts and changes nothing. Raises `InvalidOption`, and `BrokerAway` where it must be repeated.
    """
    if verb not in VERBS:
        raise InvalidOption(f"{verb!r} cannot be done to many jobs; these can: {', '.join(sorted(VERBS))}")
    check_limit(limit)
    check_pace(pace)
    live.hear()
    rows = rows_of(verb, chosen, get_broker().now())
    newest = rows.order_by("-pk").values_list("pk", flat=True).first()
    seen = Progress(total=rows[:limit].count())
    if newest is None or dry_run:
        return seen
    act = act_for(verb, by, given)
    began, size = clock.monotonic(), CHUNK if pace is None else max(1, min(CHUNK, int(pace)))
    for ids in _pieces(verb, chosen, newest, size, limit):
        seen = act(ids, seen)
        if progress is not None:
            progress(seen)
        if pace is not None:
            time.sleep(max(0.0, began + (seen.done + seen.refused) / pace - clock.monotonic()))
    return seen


def check_pace(pace: float | None) -> None:
    """Raise `InvalidOption` for what is no number of jobs a second; None is no limit."""
    if pace is not None and (isinstance(pace, bool) or not isinstance(pace, (int, float)) or not 0 < pace <= FASTEST):
        raise InvalidOption(f"pace={pace!r}: expected jobs a second, above 0 and at most {FASTEST:,}")


def rows_of(verb: str, chosen: Choice, now: datetime) -> QuerySet[Job]:
    """The rows of the jobs that are meant, of those to which this can be done."""
    _one, possible, usual = VERBS[verb]
    rows = chosen.rows(now).filter(state__in=possible if chosen.state else usual)
    if verb == "promote":
        rows = rows.filter(ready_at__gt=now)
    return in_shown_state(rows, chosen.state, now) if chosen.state else rows


def next_piece(verb: str, chosen: Choice, last: UUID, newest: UUID, size: int) -> list[UUID]:
    """The oldest after `last` and up to `newest` that are still meant, at most `size`."""
    rows = rows_of(verb, chosen, get_broker().now()).filter(Q(pk__gt=last) & Q(pk__lte=newest))
    return list(rows.order_by("pk").values_list("pk", flat=True)[:size])


def _pieces(verb: str, chosen: Choice, newest: UUID, size: int, limit: int | None) -> Iterator[Sequence[UUID]]:
    """The ids, piece by piece, of those that are still meant when their turn comes."""
    last, left = UUID(int=0), limit
    while left is None or left > 0:
        ids = next_piece(verb, chosen, last, newest, size if left is None else min(size, left))
        if not ids:
            return
        yield ids
        last, left = ids[-1], None if left is None else left - len(ids)


def act_for(
    verb: str,
    by: AbstractBaseUser | None,
    given: dict[str, Any],
    refusals: tuple[type[JobsError], ...] = (Refused, UnknownJob),
) -> Callable[[Sequence[UUID], Progress], Progress]:
    """What does it to some jobs, and answers how far it is then; `refusals` are of one job and end nothing."""
    one = partial(VERBS[verb][0], **given, by=by)

    def act(ids: Sequence[UUID], seen: Progress) -> Progress:
        left = list(ids)
        if verb == "cancel" and by is None:
            left = _cancel_waiting(ids)
            seen = replace(seen, done=seen.done + len(ids) - len(left))
        for job_id in left:
            try:
                one(job_id)
            except BrokerAway:
                raise
            except refusals as refusal:
                first = seen.first_refusal or str(refusal)
                seen = replace(seen, refused=seen.refused + 1, first_refusal=first)
            else:
                seen = replace(seen, done=seen.done + 1)
        return seen

    return act


def _cancel_waiting(ids: Sequence[UUID]) -> list[UUID]:
    """Cancel those that wait, many at once; returns the others, which run or are not with the broker."""
    found = lookup.all_jobs().filter(pk__in=ids).values_list("pk", "queue")
    gone = cancel_waiting(found, reasons.BY_OPERATOR)
    return [job_id for job_id in ids if job_id not in gone]
