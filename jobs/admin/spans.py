"""What the queues did in the last hour, day or week: numbers in words, and the charts with their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from ..broker.tally import BOUNDS, ENDS, LOST, RETRIED
from ..history.deploys import Deploy
from ..history.hours import COMPLETED, FAILED, Between, Figures, percentile, sum_of
from ..history.verdict import duration
from . import charts
from .charts import Chart, Span

HOUR = timedelta(hours=1)
#: By the word in the address: its name, how many steps there are, and how long each is.
RANGES: Mapping[str, tuple[Any, int, timedelta]] = {
    "hour": (gettext_lazy("Hour"), 2, HOUR),
    "day": (gettext_lazy("Day"), 24, HOUR),
    "week": (gettext_lazy("Week"), 28, 6 * HOUR),
}
USUAL = "day"
#: The percentiles that are told, by the class of their line.
PARTS = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
#: What a bar is made of, from below: the outcome, the tone of its colour, its word.
OUTCOMES: Sequence[tuple[tuple[str, ...], str, Any]] = (
    ((COMPLETED,), "good", pgettext_lazy("outcome", "completed")),
    ((RETRIED,), "again", pgettext_lazy("outcome", "failed, tried again")),
    ((FAILED,), "bad", pgettext_lazy("outcome", "failed for good")),
    ((*ENDS[2:], LOST), "quiet", pgettext_lazy("outcome", "cancelled, expired or lost")),
)


@dataclass(frozen=True, slots=True)
class Time:
    """A percentile in words, and between which times it lies."""

    name: str
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Told:
    """Figures in words; `rate` is of jobs that ended."""

    figures: Figures
    ended: str
    rate: str
    errors: str
    ran: Sequence[Time]
    waited: Sequence[Time]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of a chart: one step."""

    when: str
    numbers: Sequence[str]
    told: Told
    deploys: str


def span_of(name: str, now: datetime) -> Span:
    """The steps of a range, the last of which is the present one."""
    _label, number, step = RANGES[name]
    hour = now.replace(minute=0, second=0, microsecond=0)
    end = hour + HOUR
    return Span([end - step * (number - place) for place in range(number)], step)


def by_step(hours: Mapping[datetime, Figures], span: Span) -> list[Figures]:
    """The figures of each step of a span."""
    parts: list[list[Figures]] = [[] for _start in span.starts]
    for hour, figures in hours.items():
        place = (hour - span.starts[0]) // span.step
        if 0 <= place < len(parts):
            parts[place].append(figures)
    return [sum_of(part) for part in parts]


def told(figures: Figures, seconds: float) -> Told:
    """Figures of so many seconds in words."""
    errors = figures.error_rate
    return Told(
        figures=figures,
        ended=number_format(figures.ended, 0, force_grouping=True),
        rate=_rate(figures.ended, seconds),
        errors="–" if errors is None else _("%(number)s %%") % {"number": number_format(round(100 * errors, 1), 1)},
        ran=_times(figures.ran),
        waited=_times(figures.waited),
    )


def seconds_of(span: Span, now: datetime) -> float:
    """How much of a span has passed, in steps of five minutes: what only time changes is not to change each second."""
    return max(300.0, (now - span.starts[0]).total_seconds() // 300 * 300)


def charts_of(steps: Sequence[Figures], span: Span, deploys: Sequence[Deploy]) -> list[Chart]:
    """The charts of a queue: over time where there are enough steps, and how long its jobs waited and ran."""
    found = []
    if len(span.starts) > 2:
        labels, marks = _labels(span), charts.marks_of(deploys, span, _deploy_text)
        found.append(
            charts.bars(
                _("How attempts and jobs ended"),
                span,
                [_stack(figures, _when(start, span)) for start, figures in zip(span.starts, steps, strict=True)],
                [(tone, word) for _names, tone, word in OUTCOMES],
                labels,
                marks,
            )
        )
        for title, counts in (
            (_("How long due jobs waited to start"), [one.waited for one in steps]),
            (_("How long they ran"), [one.ran for one in steps]),
        ):
            series = [(name, name, _values(counts, part, name, span)) for name, part in PARTS]
            found.append(charts.lines(title, span, series, labels, marks, _axis))
    whole = sum_of(steps)
    for title, numbers, tone in (
        (_("Starts by how long they had waited"), whole.waited, "wait"),
        (_("Starts by how long they ran"), whole.ran, "run"),
    ):
        found.append(charts.histogram(title, _classes(numbers), tone))
    return found


def table_of(steps: Sequence[Figures], span: Span, deploys: Sequence[Deploy], now: datetime) -> list[Row]:
    """The same as a table, the present step first."""
    rows = []
    for start, figures in zip(span.starts, steps, strict=True):
        passed = min(span.step.total_seconds(), max(60.0, (now - start).total_seconds()))
        within = [one.label for one in deploys if start <= one.at < start + span.step]
        numbers = [
            number_format(sum(figures.outcomes.get(name, 0) for name in names), 0, force_grouping=True)
            for names, _tone, _word in OUTCOMES
        ]
        rows.append(Row(_when(start, span), numbers, told(figures, passed), ", ".join(within)))
    return rows[::-1]


def classes_table(figures: Figures) -> list[tuple[str, str, str]]:
    """How many starts had waited and ran for how long, by class."""
    return [
        (text, number_format(figures.waited[i], 0), number_format(figures.ran[i], 0))
        for i, text in enumerate(_class_texts())
    ]


def _rate(number: int, seconds: float) -> str:
    a_minute = number * 60 / seconds
    if a_minute >= 1:
        shown = _number(a_minute)
        return _("%(number)s a minute") % {"number": shown}
    an_hour = number * 3600 / seconds
    return _("%(number)s an hour") % {"number": _number(an_hour)}


def _number(value: float) -> str:
    # number_format cuts digits off, and does not round
    return number_format(round(value, 1), 1) if 0 < value < 10 else number_format(round(value), 0, force_grouping=True)


def _times(counts: Sequence[int]) -> list[Time]:
    found = [(name, percentile(counts, part)) for name, part in PARTS]
    return [Time(name, _text(one), _bounds(one)) for name, one in found]


def _text(one: Between | None) -> str:
    if one is None:
        return "–"
    if one.seconds is None:
        return _("over %(time)s") % {"time": duration(one.low)}
    return duration(round(one.seconds, 3 if one.seconds < 1 else 1))


def _bounds(one: Between | None) -> str:
    if one is None:
        return ""
    values = {"low": duration(one.low), "high": duration(one.high)}
    return _("over %(low)s") % values if one.high is None else _("between %(low)s and %(high)s") % values


def _values(counts: Sequence[Sequence[int]], part: float, name: str, span: Span) -> list[tuple[float | None, str]]:
    found: list[tuple[float | None, str]] = []
    for start, numbers in zip(span.starts, counts, strict=True):
        one = percentile(numbers, part)
        value = None if one is None else one.seconds if one.seconds is not None else one.low
        found.append((value, f"{_when(start, span)}, {name}: {_text(one)}"))
    return found


def _stack(figures: Figures, when: str) -> list[tuple[str, int, str]]:
    found = []
    for names, tone, word in OUTCOMES:
        number = sum(figures.outcomes.get(name, 0) for name in names)
        found.append((tone, number, f"{when}: {number_format(number, 0, force_grouping=True)} {word}"))
    return found


def _class_texts() -> list[str]:
    up_to = [_("up to %(time)s") % {"time": duration(bound / 1_000)} for bound in BOUNDS]
    return [*up_to, _("over %(time)s") % {"time": duration(BOUNDS[-1] / 1_000)}]


def _classes(counts: Sequence[int]) -> list[tuple[str, int, str]]:
    short = [*(_axis(bound / 1_000) for bound in BOUNDS), "…"]
    texts = _class_texts()
    return [
        (label, number, f"{text}: {number_format(number, 0, force_grouping=True)}")
        for label, text, number in zip(short, texts, counts, strict=True)
    ]


def _axis(seconds: float) -> str:
    """A length of time that fits on an axis."""
    if seconds < 1:
        return f"{round(seconds * 1_000)} ms"
    if seconds < 60:
        return f"{number_format(seconds, 1 if seconds % 1 else 0)} s"
    if seconds < 3_600 and seconds % 60 == 0:
        return f"{seconds / 60:g} min"
    return f"{number_format(seconds, 0, force_grouping=True)} s"


def _labels(span: Span) -> list[str]:
    found = []
    for place, start in enumerate(span.starts):
        local = localtime(start)
        if span.step == HOUR:
            found.append(date_format(local, "H:i") if place % 3 == 0 else "")
        else:
            found.append(date_format(local, "D H:i") if place % 4 == 0 else "")
    return found


def _when(start: datetime, span: Span) -> str:
    local, end = localtime(start), localtime(start + span.step)
    return f"{date_format(local, 'D H:i')}–{date_format(end, 'H:i')}"


def _deploy_text(one: Deploy) -> str:
    return _("Deployed: %(label)s, %(time)s") % {
        "label": one.label,
        "time": date_format(localtime(one.at), "SHORT_DATETIME_FORMAT"),
    }
