"""Charts as SVG that the server draws: where each bar, line and mark stands. Colours are those of the style sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, log10
from typing import Any

from django.utils.formats import number_format

from ..history.deploys import Deploy

#: The drawing's own units; it is scaled to the page.
WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 16, 28
#: The ends of the axis of times, in seconds: its steps are factors of ten.
SHORTEST, LONGEST = 0.01, 10_000.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A box, the class of its colour and what it says on hover."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line in pieces, as attributes `points`; with a dot and a text for each value."""

    name: str
    label: str
    pieces: Sequence[str]
    dots: Sequence[tuple[float, float, str]]


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid, or a place of the axis below, and its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Where other code came."""

    x: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws; `legend`: the class of each colour or line, and its word."""

    title: str
    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    rows: Sequence[Tick] = ()
    columns: Sequence[Tick] = ()
    marks: Sequence[Mark] = ()
    legend: Sequence[tuple[str, Any]] = ()

    width, height, left, right, bottom = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a chart shows, in steps of one length: `starts` holds the moments at which they begin."""

    starts: Sequence[datetime]
    step: timedelta

    @property
    def end(self) -> datetime:
        """When the last step ends."""
        return self.starts[-1] + self.step

    def place(self, moment: datetime, left: float = LEFT, right: float = WIDTH - RIGHT) -> float:
        """Where a moment stands between `left` and `right`."""
        part = (moment - self.starts[0]) / (self.end - self.starts[0])
        return round(left + (right - left) * min(1.0, max(0.0, part)), 1)


def bars(
    title: str,
    span: Span,
    stacks: Sequence[Sequence[tuple[str, int, str]]],
    legend: Sequence[tuple[str, Any]],
    labels: Sequence[str],
    marks: Sequence[Mark],
) -> Chart:
    """Bars over time: for each step, from below, the tone, the number and the text of each part."""
    return Chart(
        title=title,
        bars=list(_stacked(stacks)),
        rows=_rows(max((sum(number for _tone, number, _text in stack) for stack in stacks), default=0)),
        columns=[Tick(span.place(start), label) for start, label in zip(span.starts, labels, strict=True) if label],
        marks=marks,
        legend=legend,
    )


def histogram(title: str, counts: Sequence[tuple[str, int, str]], tone: str) -> Chart:
    """A bar for each class: its label, its number and its text."""
    stacks = [[(tone, number, text)] for _label, number, text in counts]
    width = (WIDTH - LEFT - RIGHT) / max(1, len(counts))
    return Chart(
        title=title,
        bars=list(_stacked(stacks)),
        rows=_rows(max((number for _label, number, _text in counts), default=0)),
        columns=[Tick(round(LEFT + width * i, 1), label) for i, (label, _number, _text) in enumerate(counts)],
    )


def lines(
    title: str,
    span: Span,
    series: Sequence[tuple[str, Any, Sequence[tuple[float | None, str]]]],
    labels: Sequence[str],
    marks: Sequence[Mark],
    say: Callable[[float], str],
) -> Chart:
    """Times over time, on an axis whose steps are factors of ten: for each line a class, a word, and value and text."""
    steps = [SHORTEST * 10**i for i in range(round(log10(LONGEST / SHORTEST)) + 1)]
    return Chart(
        title=title,
        lines=[_line(span, name, str(word), values) for name, word, values in series],
        rows=[Tick(_height(value), say(value)) for value in steps],
        columns=[Tick(span.place(start), label) for start, label in zip(span.starts, labels, strict=True) if label],
        marks=marks,
        legend=[(name, word) for name, word, _values in series],
    )


def marks_of(deploys: Sequence[Deploy], span: Span, say: Callable[[Deploy], str]) -> list[Mark]:
    """The deploys that fall into the time of a chart."""
    return [Mark(span.place(one.at), say(one)) for one in deploys if span.starts[0] <= one.at <= span.end]


def sparkline(numbers: Sequence[int], width: int = 120, height: int = 28) -> list[Bar]:
    """Small bars, one a step."""
    most, step = max(numbers, default=0) or 1, width / max(1, len(numbers))
    found = []
    for place, number in enumerate(numbers):
        tall = round((height - 1) * number / most, 1) if number else 0
        tall = max(tall, 1.0) if number else 0
        found.append(Bar(round(place * step, 1), round(height - tall, 1), round(max(1.0, step - 1), 1), tall, "run"))
    return found


def _stacked(stacks: Sequence[Sequence[tuple[str, int, str]]]) -> Iterator[Bar]:
    top = _top(max((sum(number for _tone, number, _text in stack) for stack in stacks), default=0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(stacks))
    whole = HEIGHT - TOP - BOTTOM
    for place, stack in enumerate(stacks):
        base = float(HEIGHT - BOTTOM)
        for tone, number, text in stack:
            if number:
                tall = max(1.0, round(whole * number / top, 1))
                base -= tall
                yield Bar(
                    round(LEFT + place * step + 1, 1), round(base, 1), round(max(1.0, step - 2), 1), tall, tone, text
                )


def _line(span: Span, name: str, label: str, values: Sequence[tuple[float | None, str]]) -> Line:
    pieces: list[list[str]] = [[]]
    dots = []
    for start, (value, text) in zip(span.starts, values, strict=True):
        if value is None:
            pieces.append([])
            continue
        x, y = span.place(start + span.step / 2), _height(value)
        pieces[-1].append(f"{x},{y}")
        dots.append((x, y, text))
    return Line(name, label, [" ".join(piece) for piece in pieces if len(piece) > 1], dots)


def _height(value: float) -> float:
    part = log10(min(LONGEST, max(SHORTEST, value)) / SHORTEST) / log10(LONGEST / SHORTEST)
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part, 1)


def _top(most: int) -> int:
    """A round number that is not below `most`: 1, 2, 4, 5 or 10 times a power of ten."""
    if most <= 4:
        return max(1, most)
    power = int(10 ** int(log10(most)))
    return next(factor * power for factor in (1, 2, 4, 5, 10) if factor * power >= most)


def _rows(most: int) -> list[Tick]:
    top = _top(most)
    parts = 4 if top % 4 == 0 else (5 if top % 5 == 0 else top if top < 4 else 2)
    whole = HEIGHT - TOP - BOTTOM
    return [
        Tick(
            round(HEIGHT - BOTTOM - whole * i / parts, 1), number_format(ceil(top * i / parts), 0, force_grouping=True)
        )
        for i in range(parts + 1)
    ]
