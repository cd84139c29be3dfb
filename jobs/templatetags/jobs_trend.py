"""A row of small bars, drawn on the server: how often something was, by hour or day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

#: Of one bar, in pixels; with the gap behind it.
STEP, WIDTH, HEIGHT = 4, 3, 20


@register.simple_tag
def job_trend(numbers: Sequence[int], bad: Sequence[int] = (), label: str = "") -> SafeString:
    """Bars for the numbers, the latest last; `bad` is the part of each that is drawn as bad.

    `label` is for readers aloud; without it the numbers are to stand beside it, and the drawing is left out for them.
    """
    most = max(numbers, default=0) or 1
    drawn = format_html_join(
        "", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"></rect>', _bars(numbers, bad, most)
    )
    said = format_html('role="img" aria-label="{}"', label) if label else 'aria-hidden="true"'
    width = STEP * max(1, len(numbers))
    return format_html(
        '<svg class="job-trend" viewBox="0 0 {} {}" width="{}" height="{}" {}>{}</svg>',
        *(width, HEIGHT, width, HEIGHT),
        said if label else SafeString(said),
        drawn,
    )


def _bars(numbers: Sequence[int], bad: Sequence[int], most: int) -> Iterator[tuple[str, int, int, int, int]]:
    for place, number in enumerate(numbers):
        height = _height(number, most)
        yield "job-bar", place * STEP, HEIGHT - height, WIDTH, height
        if place < len(bad) and bad[place]:
            height = _height(bad[place], most)
            yield "job-bar job-bar-bad", place * STEP, HEIGHT - height, WIDTH, height


def _height(number: int, most: int) -> int:
    """At least a line for what is not nothing."""
    return max(1, round(HEIGHT * number / most)) if number else 0
