"""The starts of a job, newest first: each with how it ended, its error, its traceback and what it logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..define.desk import LogLine
from ..define.masks import Mask
from ..history import verdict
from ..models import Attempt, Job
from ..visible import visible
from .tracebacks import Block, blocks_of, place

#: A page shows at most so many starts and log lines.
SHOWN = 200
LINES = 500


@dataclass(frozen=True, slots=True)
class StartLog:
    """What one start logged; `cut`: how many lines before the first are not shown."""

    attempt: int
    cut: int
    lines: Sequence[tuple[datetime, str]]


@dataclass(frozen=True, slots=True)
class Start:
    """One start. `row` is None while it runs, or where the history has not heard of its end yet."""

    run: int
    number: int
    row: Attempt | None
    ran: str = ""
    place: str = ""
    error: str = ""
    traceback: Sequence[Block] = ()
    log: StartLog | None = None


@dataclass(frozen=True, slots=True)
class Starts:
    """The newest starts; `rows` are their attempts, the oldest first, `cut` says whether there are more."""

    newest: Sequence[Start]
    rows: Sequence[Attempt]
    cut: bool


def starts_of(job: Job, lines: Sequence[LogLine], mask: Mask) -> Starts:
    """The starts of the job with these log lines; what is personal is masked."""
    of_job = Attempt.objects.using(job._state.db).filter(job_id=job.pk)
    found = list(of_job.order_by("-pk")[: SHOWN + 1])
    cut, rows = len(found) > SHOWN, found[:SHOWN][::-1]
    before = of_job.filter(run=rows[0].run, pk__lt=rows[0].pk).count() if cut else 0
    logs = _logs(lines, mask)
    made: dict[tuple[int, int], Start] = {}
    number, run = before, rows[0].run if rows else 0
    for row in rows:
        # each start that ends leaves one row, in the order of the starts
        number, run = number + 1 if row.run == run else 1, row.run
        made[run, number] = _start(row, number, logs.get((run, number)), mask)
    for (run, number), log in logs.items():
        made.setdefault((run, number), Start(run, number, None, log=log))
    return Starts([made[key] for key in sorted(made, reverse=True)], rows, cut)


def _start(row: Attempt, number: int, log: StartLog | None, mask: Mask) -> Start:
    trace = visible(mask(row.traceback), keep="\n\t")
    return Start(
        run=row.run,
        number=number,
        row=row,
        ran=verdict.duration(verdict.seconds_between(row.started_at, row.ended_at)),
        place=place(trace),
        error=visible(mask(row.shown_error()), keep="\n\t"),
        traceback=blocks_of(trace) if trace else (),
        log=log,
    )


def _logs(lines: Sequence[LogLine], mask: Mask) -> Mapping[tuple[int, int], StartLog]:
    starts: dict[tuple[int, int], list[LogLine]] = {}
    for line in lines[-LINES:]:
        starts.setdefault((line.run, line.start), []).append(line)
    return {
        key: StartLog(
            of_start[0].attempt,
            of_start[0].number - 1,
            [(line.at, visible(mask(line.text), keep="\n\t")) for line in of_start],
        )
        for key, of_start in starts.items()
    }
