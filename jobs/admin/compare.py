"""Two dead letters beside each other: what is the same, and where they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from django.utils.translation import gettext

from admin_lists.moments import exact_time

from ..history import lookup
from ..models import Attempt, AttemptOutcome, Job
from ..reasons import translated
from ..visible import visible
from .page import pretty

#: Lines of a text that are compared, its last ones (where a traceback ends is where it went wrong); characters of one.
MOST_LINES, LONGEST = 300, 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the comparison; `masked` says of each side that it is not shown."""

    name: str
    left: str
    right: str
    differs: bool
    masked: tuple[bool, bool] = (False, False)


def facts_of(left: Job, right: Job) -> list[Row]:
    """What is known of both, line by line."""
    told: list[tuple[str, Callable[[Job], Any]]] = [
        (gettext("Task"), lambda job: job.task),
        (gettext("Queue"), lambda job: job.queue),
        (gettext("Failed"), lambda job: exact_time(job.ended_at)),
        (gettext("Created"), lambda job: exact_time(job.created_at)),
        (gettext("Release"), lambda job: job.release or "–"),
        (gettext("Run, attempts, lost"), lambda job: f"{job.run}, {job.attempts}, {job.lost}"),
        (gettext("Event"), lambda job: job.event or "–"),
        (gettext("About"), lambda job: f"{job.about_type}:{job.about_id}" if job.about_type else "–"),
    ]
    return [_row(name, visible(str(of(left))), visible(str(of(right)))) for name, of in told]


def arguments_of(left: Job, right: Job) -> list[Row]:
    """The arguments of both by their names; of personal ones not even whether they differ is told."""
    sides = [{one.name: one for one in lookup.arguments(job)} for job in (left, right)]
    found = []
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        ones = [side.get(name) for side in sides]
        masked = tuple(one is not None and one.masked for one in ones)
        texts = ["–" if one is None else "" if one.masked else pretty(one.value) for one in ones]
        differs = texts[0] != texts[1] and not any(masked)
        found.append(Row(visible(name), texts[0], texts[1], differs, (masked[0], masked[1])))
    return found


def errors_of(left: Job, right: Job) -> list[Row]:
    """The lines of both errors."""
    return list(_compared(*(_lines(lookup.mask_of(job)(translated(job.error))) for job in (left, right))))


def tracebacks_of(left: Job, right: Job) -> list[Row]:
    """The lines of the last tracebacks of both."""
    rows = Attempt.objects.using(left._state.db).filter(job_id__in=[left.pk, right.pk], outcome=AttemptOutcome.FAILED)
    last: dict[Any, str] = {}
    for row in rows.order_by("pk").only("job_id", "traceback"):
        last[row.job_id] = row.traceback
    return list(_compared(*(_lines(lookup.mask_of(job)(last.get(job.pk, ""))) for job in (left, right))))


def _row(name: str, left: str, right: str) -> Row:
    return Row(name, left, right, left != right)


def _lines(text: str) -> list[str]:
    lines = visible(text, keep="\n\t").split("\n")[-MOST_LINES:] if text else []
    return [line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines]


def _compared(left: Sequence[str], right: Sequence[str]) -> Iterator[Row]:
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        for one, other in zip_longest(left[a:b], right[c:d], fillvalue=""):
            yield Row("", one, other, kind != "equal")
