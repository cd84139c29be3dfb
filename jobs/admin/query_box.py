"""The query box of the job list: what was typed, what it found, and what the box offers while somebody types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _

from .. import clock
from ..defined import queues
from ..errors import JobsError
from ..history import lookup
from ..history.find import Found, find, parts_of
from ..history.query import Query
from ..history.query_text import WORDS, parse
from ..models import STATE_WORDS, Job
from ..policy import HIGHEST_PRIORITY, LOWEST_PRIORITY

#: Parameters of the list's address beside which a query's rows are parted by their states.
PARTED = frozenset({"queue", "state", "since", "q"})


@dataclass
class Box:
    """What the box holds: the query at the moment `asked`, or what is wrong with it; and what was found."""

    text: str
    asked: datetime
    query: Query = field(default_factory=Query)
    problem: str = ""
    found: Found | None = None

    @property
    def notes(self) -> Sequence[str]:
        """How far was searched."""
        return self.found.notes if self.found is not None else ()

    @property
    def zone(self) -> str:
        """The name of the time zone whose days the query means; empty where it has none."""
        return str(getattr(get_current_timezone(), "key", ""))


def box_of(request: HttpRequest) -> Box:
    """The box of this request; it is read once."""
    box: Box | None = request.__dict__.get("job_query_box")
    if box is None:
        box = Box(request.GET.get("q", "").replace("\x00", "").strip(), clock.now().astimezone(get_current_timezone()))
        try:
            box.query = parse(box.text, box.asked)
        except JobsError as error:
            box.problem = capfirst(str(error))
        request.__dict__["job_query_box"] = box
    return box


def search(request: HttpRequest, rows: QuerySet[Job]) -> QuerySet[Job]:
    """Those of the rows that the box asks for; all of them where it cannot be understood, and the box says why."""
    box = box_of(request)
    if box.problem or not box.text:
        return rows
    try:
        box.found = find(box.query, rows, box.asked, lambda part: parts(request, part))
    except JobsError as error:
        box.problem = capfirst(str(error))
        return rows
    return box.found.rows


def parts(request: HttpRequest, rows: QuerySet[Job]) -> Sequence[QuerySet[Job]]:
    """Parts of the list's rows, each of which an index has in order of time."""
    if not request.GET.keys() - {"before", "after", "e"} <= PARTED:
        return [rows]
    return parts_of(rows, box_of(request).query, request.GET.get("queue", ""), request.GET.get("state", ""))


def offered() -> dict[str, Any]:
    """What the box completes: the filters with what they mean, and the values of those that have few."""
    tasks = sorted((name, queue.name) for queue in queues().values() for name in queue.tasks)
    return {
        "filters": [[name, str(text)] for name, text in WORDS.items()],
        "values": {
            "queue": [[name, ""] for name in sorted(queues())],
            "task": [list(one) for one in tasks],
            "state": [[state, str(STATE_WORDS[state])] for state in lookup.STATES],
            "created": [
                ["<1h", _("in the last hour")],
                ["<24h", _("in the last 24 hours")],
                ["<7d", _("in the last 7 days")],
                [">1h", _("more than an hour ago")],
            ],
            "priority": [[str(number), ""] for number in range(HIGHEST_PRIORITY, LOWEST_PRIORITY + 1)],
            "ran": [[">1s", ""], [">10s", ""], [">1m", ""]],
            "attempts": [[">=2", ""], [">=3", ""]],
        },
    }
