"""Numbers by day as bars, with a mark where something came in between; what a template draws as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Of one bar with its gap, of the bar alone, and the height of the tallest.
STEP, WIDTH, HEIGHT = 20, 14, 80


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from its upper left corner."""

    x: int
    y: int
    height: int
    number: int


@dataclass(frozen=True, slots=True)
class DrawnDays:
    """The bars, and the marks by where they stand and what they say."""

    bars: Sequence[Bar]
    marks: Sequence[tuple[int, str]]
    width: int
    height: int = HEIGHT
    bar_width: int = WIDTH
    most: int = 0


def drawn_days(numbers: Sequence[int], marks: Sequence[tuple[float, str]] = ()) -> DrawnDays:
    """Bars for these numbers; `marks` stand at a share of the whole time, from 0 to 1."""
    most, width = max(numbers, default=0), STEP * len(numbers)
    bars = []
    for place, number in enumerate(numbers):
        height = max(2, round(HEIGHT * number / most)) if number else 0
        bars.append(Bar(place * STEP + (STEP - WIDTH) // 2, HEIGHT - height, height, number))
    return DrawnDays(bars, [(round(width * share), text) for share, text in marks], width, most=most)
