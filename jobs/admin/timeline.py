"""A job's life drawn to scale: SVG without styles of its own, and in words where the time went.

The scale is linear. A piece that is more than twelve times as long as all shorter ones together would leave nothing of
them to be seen: it is cut short, and a break in it says so. So runs of milliseconds can be read behind a wait of weeks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from ..history.timeline import Piece
from ..history.verdict import duration
from ..models.attempt import AttemptOutcome

#: Units of the drawing's width, and the least of a piece that can be seen and pointed at.
WIDTH, LEAST = 1_000.0, 4.0
#: A piece so many times as long as all shorter ones together is cut; the cut ones have this share of the width.
CUT_AT, CUT_SHARE = 12.0, 0.5
#: What is shorter, in seconds, and no start, is not drawn.
NOTHING = 0.001
#: Where a bar of each kind lies (y, height): waits are thin, what ran well stands up, what ended badly hangs down.
_SHAPES: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("blocked", "scheduled", "before", "delay", "dead"), (22, 4)),
    **dict.fromkeys(("waiting", "again"), (19, 10)),
    **dict.fromkeys(("completed", "running", "cancelled"), (2, 24)),
    **dict.fromkeys(("postponed", "handed_back", "interrupted"), (12, 14)),
    **dict.fromkeys(("failed", "lost"), (22, 24)),
}
_LIKE_A_START = (12, 24)
#: What each kind is called.
WORDS: dict[str, Any] = {
    **dict(AttemptOutcome.choices),
    "running": pgettext_lazy("piece of a job's time", "running"),
    "blocked": pgettext_lazy("piece of a job's time", "waited for other jobs"),
    "scheduled": pgettext_lazy("piece of a job's time", "until it was due"),
    "waiting": pgettext_lazy("piece of a job's time", "due, waited for its start"),
    "before": pgettext_lazy("piece of a job's time", "until its first start"),
    "delay": pgettext_lazy("piece of a job's time", "until the next attempt was due"),
    "again": pgettext_lazy("piece of a job's time", "waited for a further start"),
    "dead": pgettext_lazy("piece of a job's time", "dead letter, waited for a person"),
}
_AS_START = {
    "completed": gettext_lazy("ran, completed"),
    "failed": gettext_lazy("ran, failed"),
    "postponed": gettext_lazy("ran, asked to be tried later"),
    "handed_back": gettext_lazy("started, handed back"),
    "interrupted": gettext_lazy("ran, interrupted"),
    "lost": gettext_lazy("lost with its worker"),
    "cancelled": gettext_lazy("ran, cancelled"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece as a rectangle, and in words; `breaks`: the strokes that cross it, none if it is to scale.

    `anchor`: where the page tells of it, if it is a start.
    """

    kind: str
    x: str
    y: int
    width: str
    height: int
    breaks: Sequence[str]
    title: str
    anchor: str
    label: str
    time: str
    since: datetime
    until: datetime
    open: bool


@dataclass(frozen=True, slots=True)
class Share:
    """What all pieces of a kind took together."""

    kind: str
    label: str
    time: str
    times: int
    percent: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """The bars in their order, and where the time went, the longest first; `cut`: not everything is to scale."""

    bars: Sequence[Bar]
    shares: Sequence[Share]
    total: str
    cut: bool
    since: datetime
    until: datetime


def drawing(pieces: Sequence[Piece]) -> Drawing | None:
    """The life as it is drawn; None: there is nothing of it."""
    shown = [one for one in pieces if one.start is not None or one.open or one.seconds >= NOTHING]
    if not shown:
        return None
    cut = _too_long([one.seconds for one in shown])
    widths = _widths([one.seconds for one in shown], cut)
    bars, x = [], 0.0
    for index, (piece, width) in enumerate(zip(shown, widths, strict=True)):
        bars.append(bar_of(piece, x, width, is_cut=index in cut))
        x += width
    total = sum(one.seconds for one in shown)
    return Drawing(bars, _shares(shown, total), duration(total), bool(cut), shown[0].since, shown[-1].until)


@dataclass(frozen=True, slots=True)
class Scale:
    """Where moments lie on the width that several lives share; `cuts`: where nothing happened for so long."""

    places: Mapping[datetime, float]
    cuts: Sequence[float]

    def at(self, moment: datetime) -> float:
        """Of one of the moments that the scale was made of."""
        return self.places[moment]


def scale_of(moments: Iterable[datetime]) -> Scale:
    """A linear scale between these moments, cut as `drawing` cuts it."""
    order = sorted(set(moments))
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(order)]
    cut = _too_long(gaps)
    places, cuts, x = dict.fromkeys(order[:1], 0.0), [], 0.0
    for index, (moment, width) in enumerate(zip(order[1:], _widths(gaps, cut, 0.0), strict=True)):
        if index in cut:
            cuts.append(x + width / 2)
        x += width
        places[moment] = x
    return Scale(places, cuts)


def label_of(kind: str) -> str:
    """What a kind is called in a list of where the time went."""
    return str(_AS_START.get(kind) or WORDS.get(kind, kind))


def _too_long(seconds: Sequence[float]) -> frozenset[int]:
    """Which of them are cut."""
    order = sorted(range(len(seconds)), key=lambda index: -seconds[index])
    left, cut = sum(seconds), 0
    for place, index in enumerate(order[:-1], 1):
        left -= seconds[index]
        if left > 0 and seconds[index] > CUT_AT * left:
            cut = place
    return frozenset(order[:cut])


def _widths(seconds: Sequence[float], cut: frozenset[int], least: float = LEAST) -> list[float]:
    """Each one's share of the width: linear, the cut ones alike, none below the least."""
    if not seconds:
        return []
    whole = sum(length for index, length in enumerate(seconds) if index not in cut)
    room = WIDTH * (1 - CUT_SHARE) if cut else WIDTH
    bare = [
        WIDTH * CUT_SHARE / len(cut) if index in cut else room * (length / whole if whole > 0 else 1 / len(seconds))
        for index, length in enumerate(seconds)
    ]
    raised = [max(least, width) for width in bare]
    return [width * WIDTH / sum(raised) for width in raised]


def bar_of(piece: Piece, x: float, width: float, *, is_cut: bool = False) -> Bar:
    """The piece at this place."""
    y, height = _SHAPES.get(piece.kind, _LIKE_A_START)
    middle = x + width / 2
    at = (-4, 4) if is_cut else ()
    breaks = [f"{middle + off - 4:.1f},{y + height + 8} {middle + off + 4:.1f},{y - 8}" for off in at]
    label, time = label_of(piece.kind), duration(piece.seconds)
    title = _("%(what)s: %(time)s so far") if piece.open else _("%(what)s: %(time)s")
    return Bar(
        kind=piece.kind if piece.kind in WORDS else "other",
        x=f"{x:.1f}",
        y=y,
        width=f"{width:.1f}",
        height=height,
        breaks=breaks,
        title=title % {"what": label, "time": time},
        anchor=f"#attempt-{piece.start.pk}" if piece.start is not None else "",
        label=label,
        time=time,
        since=piece.since,
        until=piece.until,
        open=piece.open,
    )


def _shares(pieces: Sequence[Piece], total: float) -> list[Share]:
    sums: dict[str, list[float]] = {}
    for piece in pieces:
        sums.setdefault(piece.kind, []).append(piece.seconds)
    return [
        Share(
            kind if kind in WORDS else "other",
            label_of(kind),
            duration(sum(each)),
            len(each),
            round(100 * sum(each) / total) if total > 0 else 0,
            *_swatch(kind),
        )
        for kind, each in sorted(sums.items(), key=lambda one: -sum(one[1]))
    ]


def _swatch(kind: str) -> tuple[float, float]:
    """The kind's bar in a square of 14 units, where the line is at 7."""
    y, height = _SHAPES.get(kind, _LIKE_A_START)
    return round((y - 24) * 0.29 + 7, 1), round(height * 0.29, 1)
