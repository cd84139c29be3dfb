"""`manage.py jobs top`: the queues in numbers that move, until Ctrl-C."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from django.core.management.base import CommandParser
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext

from jobs.history.counters import totals
from jobs.history.status.report import Report, headline, report
from jobs.history.verdict import duration
from jobs.management.actions.action import Action, Paper

#: Seconds from one look to the next, and looks between which a rate is measured: some seconds, since with the jobs in
#: Redis the history is written in pieces.
EVERY, LOOKS = 2.0, 6


@dataclass(frozen=True)
class Line:
    """A queue at one moment; `rate`: attempts that ended, a second; `oldest_wait` in seconds; None: not known."""

    queue: str
    waiting: int | None
    scheduled: int | None
    active: int | None
    rate: float | None
    oldest_wait: float | None
    workers: int
    paused: bool


class Top:
    """Looks again and again."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Mapping[str, int]]] = deque(maxlen=LOOKS)

    def look(self) -> tuple[Report, list[Line]]:
        """What holds now; the first look knows no rate."""
        found = report()
        ended = {row.name: _ended(row.name) for row in found.queues}
        self._seen.append((time.monotonic(), ended))
        (began, before), (now, _last) = self._seen[0], self._seen[-1]
        passed = now - began
        return found, [
            Line(
                queue=row.name,
                waiting=row.counts.waiting if row.counts else None,
                scheduled=row.counts.scheduled if row.counts else None,
                active=row.counts.active if row.counts else None,
                rate=(ended[row.name] - before.get(row.name, 0)) / passed if passed else None,
                oldest_wait=row.oldest_wait,
                workers=row.workers,
                paused=bool(row.counts and row.counts.paused),
            )
            for row in found.queues
        ]


def _ended(queue: str) -> int:
    numbers = totals(queue)
    return numbers["completed"] + numbers["failed"] + numbers["retried"]


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("--once", action="store_true", help=_("Print one table, after two seconds, and end."))


def _run(paper: Paper, options: Mapping[str, Any]) -> None:
    top = Top()
    with suppress(KeyboardInterrupt):
        top.look()
        while True:
            time.sleep(EVERY)
            found = top.look()
            if not options["once"]:
                paper.clear()
            _print(paper, *found)
            if options["once"]:
                return


def _print(paper: Paper, found: Report, lines: list[Line]) -> None:
    if paper.as_json:
        paper.record({"at": found.at, "queues": [asdict(line) for line in lines]})
        paper.flush()
        return
    paper.say(f"{found.at:%Y-%m-%d %H:%M:%S} UTC  {headline(found.findings)}")
    paper.say("")
    heads = (
        *(_("queue"), pgettext("jobs", "due"), pgettext("jobs", "later"), pgettext("jobs", "active")),
        *(_("ended a second"), pgettext("jobs", "oldest waiting"), _("workers"), ""),
    )
    paper.table(heads, [_cells(line) for line in lines])
    paper.flush()


def _cells(line: Line) -> tuple[str, ...]:
    numbers = ("–" if number is None else str(number) for number in (line.waiting, line.scheduled, line.active))
    rate = "–" if line.rate is None else number_format(line.rate, 1)
    return (line.queue, *numbers, rate, duration(line.oldest_wait), str(line.workers), _("paused") * line.paused)


TOP = Action(
    "top",
    gettext_noop("Show the queues in numbers every two seconds, until Ctrl-C (with --json, one JSON object a line)."),
    _arguments,
    _run,
)
