"""What is said of each thing that keeps a job waiting, and of what removes it, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.formats import date_format, number_format, time_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from .. import clock
from ..broker.standing import MOST_AHEAD, Found, Hindrance, Standing
from ..policy import RateLimit
from .estimate import WITHOUT_TIME
from .spent import Spent, total
from .verdict import duration


@dataclass(frozen=True, slots=True)
class Said:
    """A reason of which the broker knows nothing."""

    code: str
    text: str
    remedy: str
    number: int | None = None
    name: str = ""
    job: UUID | None = None


def text_of(found: Found, now: datetime, queue: str) -> str:
    """What is in the way, with its numbers."""
    values = {
        "queue": queue,
        "name": found.name,
        "job": found.job,
        "count": found.number or 0,
        "number": _number(found),
        "of": "" if found.of is None else number_format(found.of, force_grouping=True),
        "rate": "" if found.rate is None else rate_text(found.rate),
    }
    if found.until is not None:
        values |= {"left": duration(max(0.0, (found.until - now).total_seconds())), "time": time_of(found.until)}
    given = _USED_UP if found.until is None and found.code in _USED_UP else _TEXTS
    return str(given[found.code] % values)


def remedy_of(found: Found, queue: str) -> str:
    """What removes it."""
    return str(_REMEDIES[found.code] % {"queue": queue, "name": found.name})


def _number(found: Found) -> str:
    text = number_format(found.number or 0, force_grouping=True)
    return f"{text}+" if found.is_more else text


_TEXTS: Mapping[Hindrance, Any] = {
    Hindrance.EXPIRED: gettext_lazy("its time has passed: it ends as expired and never starts"),
    Hindrance.ELSEWHERE: gettext_lazy("another broker keeps the queue %(queue)s: nothing is started here"),
    Hindrance.MENDING: gettext_lazy(
        "Redis may have lost something: it is compared with the history for another %(left)s"
    ),
    Hindrance.PAUSED: gettext_lazy("the queue %(queue)s is paused"),
    Hindrance.TOLD_TO_WAIT: gettext_lazy("the whole queue was told to slow down for another %(left)s, until %(time)s"),
    Hindrance.SCHEDULED: gettext_lazy("it is due in %(left)s, at %(time)s"),
    Hindrance.BEHIND: gettext_lazy("job %(job)s holds its key and has not ended"),
    Hindrance.GROUP_PAUSED: gettext_lazy("its group %(name)s is paused"),
    Hindrance.GROUP_TOLD_TO_WAIT: gettext_lazy(
        "its group %(name)s was told to slow down for another %(left)s, until %(time)s"
    ),
    Hindrance.GROUP_CONCURRENCY: gettext_lazy("its group %(name)s is at its bound: %(number)s of %(of)s run"),
    Hindrance.GROUP_RATE_LIMIT: gettext_lazy("the limit of %(rate)s of its group %(name)s frees in %(left)s"),
    Hindrance.NO_WORKER: gettext_lazy("nobody works the queue %(queue)s"),
    Hindrance.WORKERS_PAUSED: ngettext_lazy(
        "the queue's one worker is paused", "all %(number)s workers of the queue are paused", "count"
    ),
    Hindrance.RATE_LIMIT: gettext_lazy("the limit of %(rate)s frees in %(left)s"),
    Hindrance.CONCURRENCY: gettext_lazy("the queue is at its bound: %(number)s of %(of)s run"),
    Hindrance.LIMIT: gettext_lazy("the limit %(name)s of %(rate)s frees in %(left)s"),
    Hindrance.BREAKER: gettext_lazy("the breaker %(name)s is open: a job of its tasks tries in %(left)s"),
    Hindrance.TAG_PAUSED: gettext_lazy("its tag %(name)s is paused"),
    Hindrance.BULK: gettext_lazy("%(number)s of %(of)s jobs are there to start in bulk, or in %(left)s they start"),
    Hindrance.ALONE_RUNS: gettext_lazy(
        "it was lost twice with its worker and must run alone, as another such job does now"
    ),
    Hindrance.BUSY: gettext_lazy("all threads are busy (%(number)s of %(of)s)"),
    Hindrance.AHEAD: ngettext_lazy("%(number)s job is ahead of it", "%(number)s jobs are ahead of it", "count"),
}
#: Where nobody knows when.
_USED_UP: Mapping[Hindrance, Any] = {
    Hindrance.GROUP_RATE_LIMIT: gettext_lazy("the limit of %(rate)s of its group %(name)s is used up"),
    Hindrance.RATE_LIMIT: gettext_lazy("the limit of %(rate)s is used up"),
    Hindrance.LIMIT: gettext_lazy("the limit %(name)s of %(rate)s is used up"),
    Hindrance.BREAKER: gettext_lazy("the breaker %(name)s was opened by hand"),
}
_REMEDIES: Mapping[Hindrance, Any] = {
    Hindrance.EXPIRED: gettext_lazy("enqueue it again"),
    Hindrance.ELSEWHERE: "manage.py jobs move",
    Hindrance.MENDING: gettext_lazy("the keeper, within seconds"),
    Hindrance.PAUSED: "manage.py jobs resume %(queue)s",
    Hindrance.TOLD_TO_WAIT: gettext_lazy("its time, or manage.py jobs resume %(queue)s"),
    Hindrance.SCHEDULED: gettext_lazy("its time, or manage.py jobs promote"),
    Hindrance.BEHIND: gettext_lazy("the end of that job, or its release_key()"),
    Hindrance.GROUP_PAUSED: "manage.py jobs groups %(queue)s --resume %(name)s",
    Hindrance.GROUP_TOLD_TO_WAIT: gettext_lazy("its time, or manage.py jobs groups %(queue)s --resume %(name)s"),
    Hindrance.GROUP_CONCURRENCY: gettext_lazy("the end of one of them, or a higher bound"),
    Hindrance.GROUP_RATE_LIMIT: gettext_lazy("its time, or a higher limit"),
    Hindrance.NO_WORKER: gettext_lazy("start manage.py run_huey"),
    Hindrance.WORKERS_PAUSED: gettext_lazy("manage.py jobs workers --resume, or another worker"),
    Hindrance.RATE_LIMIT: gettext_lazy("its time, or a higher limit"),
    Hindrance.CONCURRENCY: gettext_lazy("the end of one of them, or a higher bound"),
    Hindrance.LIMIT: gettext_lazy("its time, or a higher limit"),
    Hindrance.BREAKER: gettext_lazy("its provider works again, or jobs.close_breaker"),
    Hindrance.TAG_PAUSED: "manage.py jobs resume %(queue)s --tag %(name)s",
    Hindrance.BULK: gettext_lazy("its time, or more jobs"),
    Hindrance.ALONE_RUNS: gettext_lazy("the end of that job"),
    Hindrance.BUSY: gettext_lazy("the end of one of them, or more threads"),
    Hindrance.AHEAD: gettext_lazy("their starts, or a higher priority"),
}


def no_time(seen: Standing, found: Sequence[Found]) -> str:
    """Why no time is given."""
    if any(one.code in WITHOUT_TIME for one in found):
        return _("nobody knows when that ends")
    if seen.is_more:
        return _("more than %(number)s jobs are ahead") % {"number": number_format(MOST_AHEAD, force_grouping=True)}
    return _("none of the queue's jobs has ended within the last hour, as far as the history keeps them")


def spent_text(parts: Sequence[Spent]) -> str:
    """Where the time went, as a sentence; empty where nothing is known."""
    if not parts:
        return ""
    said = [str(_SPENT[part.code] % {"time": duration(part.seconds), "times": part.times}) for part in parts]
    values = {"total": duration(total(parts)), "parts": ", ".join(said)}
    return _("Its life of %(total)s: %(parts)s.") % values


_SPENT: Mapping[str, Any] = {
    "before_due": gettext_lazy("%(time)s before it was due"),
    "waiting": gettext_lazy("%(time)s waiting for its start"),
    "ran": gettext_lazy("%(time)s running"),
    "failed": ngettext_lazy("%(time)s in %(times)d failed attempt", "%(time)s in %(times)d failed attempts", "times"),
    "lost": ngettext_lazy(
        "%(time)s in %(times)d start that was lost with its worker",
        "%(time)s in %(times)d starts that were lost with their workers",
        "times",
    ),
    "handed_back": ngettext_lazy(
        "%(time)s in %(times)d start that was handed back",
        "%(time)s in %(times)d starts that were handed back",
        "times",
    ),
    "between": gettext_lazy("%(time)s between its starts"),
}


def rate_text(rate: RateLimit) -> str:
    """A rate as people say it: 10/s, 100 in 2 minutes."""
    number = number_format(rate.limit, force_grouping=True)
    units = {1: _("%(number)s/s"), 60: _("%(number)s/min"), 3600: _("%(number)s/h")}
    if rate.per in units:
        return units[int(rate.per)] % {"number": number}
    return _("%(number)s in %(time)s") % {"number": number, "time": duration(rate.per)}


def time_of(moment: datetime) -> str:
    """A moment in the reader's zone: the time, with its date unless that is today's."""
    try:
        local, today = localtime(moment), localtime(clock.now()).date()
    except OverflowError:
        return moment.isoformat(" ", "seconds")
    time = time_format(local, "H:i:s")
    return time if local.date() == today else f"{date_format(local, 'SHORT_DATE_FORMAT')} {time}"


def doubt_of(seconds: float) -> str:
    """By how much a time may be otherwise."""
    shown = max(1, round(seconds))
    return _("%(count)s s") % {"count": shown} if shown < 60 else duration(shown)


def away(error: str) -> Said:
    """The broker does not answer."""
    text = _("its broker is away (%(error)s)") % {"error": error}
    return Said("broker_away", text, _("see that it runs"))


def paused(queue: str) -> Said:
    """The queue is paused, of a job that is not there yet."""
    return Said(
        Hindrance.PAUSED.value, _("the queue %(queue)s is paused") % {"queue": queue}, f"manage.py jobs resume {queue}"
    )


def blocked(count: int, first: UUID | None) -> Said:
    """Jobs that must end before."""
    text = ngettext(
        "%(count)d job must end before it, the first is %(id)s",
        "%(count)d jobs must end before it, the first is %(id)s",
        count,
    )
    return Said("blocked", text % {"count": count, "id": first}, _("the ends of these jobs"), count, job=first)


def follows(batch: UUID) -> Said:
    """A batch must end before."""
    return Said("batch", _("it follows the end of batch %(id)s") % {"id": batch}, _("the end of the batch"))


def in_sequence(name: str, before: int, first: UUID | None) -> Said:
    """Those of its sequence that come before it."""
    text = ngettext(
        "%(count)d job of its sequence %(name)s comes before it, the first is %(id)s",
        "%(count)d jobs of its sequence %(name)s come before it, the first is %(id)s",
        before,
    )
    values = {"count": before, "name": name, "id": first}
    return Said("sequence", text % values, _("the ends of these jobs"), before, name, first)


def to_be_let_go() -> Said:
    """What it waited for has ended."""
    return Said("decide", _("what it waited for has ended"), _("the keeper lets it go within seconds"))


def behind(holder: UUID) -> Said:
    """Another job holds its key."""
    text = _("job %(job)s holds its key and has not ended") % {"job": holder}
    return Said(Hindrance.BEHIND.value, text, _("the end of that job, or its release_key()"), job=holder)


def on_its_way(*, is_kept: bool) -> Said:
    """It is in the outbox."""
    if is_kept:
        return Said(
            "outbox", _("it is on its way to the broker"), _("the keeper of run_huey brings it there within seconds")
        )
    text = _("it is on its way to the broker, and no keeper is there to bring it")
    return Said("outbox", text, _("start manage.py run_huey"))
