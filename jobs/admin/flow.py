"""The graph of a flow as SVG, from left to right, and as a nested list that says the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from admin_lists.marks import SHAPES

from ..history.flow_graph import FlowGraph, Line
from ..models import STATE_WORDS, Job
from ..visible import visible
from .marks import MARKS, state_mark

#: Units of a box, of the space between two, and characters that a box holds.
WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 168, 40, 56, 12, 8
LETTERS = 20
#: So many of what a job comes after are named in the list.
NAMED = 4


@dataclass(slots=True)
class Box:
    """A job or a batch in its place."""

    id: UUID
    text: str
    title: str
    state: str
    word: Any
    tone: str
    shape: SafeString
    kind: str
    address: str
    x: int = 0
    y: int = 0

    @property
    def mark(self) -> SafeString:
        """The state's word and shape, for the list."""
        return SafeString(state_mark(self.state)) if self.state in MARKS else SafeString("")


@dataclass(frozen=True, slots=True)
class Path:
    """A line between two boxes."""

    d: str
    kind: str


@dataclass(frozen=True, slots=True)
class Flow:
    """What the page shows; `notes` say of what is not drawn, each with an address or none."""

    boxes: Sequence[Box]
    paths: Sequence[Path]
    width: int
    height: int
    outline: SafeString
    notes: Sequence[tuple[str, str]] = field(default=())


def drawn_flow(graph: FlowGraph, job: Job, site: str, *, names_batches: bool, now: Any) -> Flow | None:
    """The graph in its place on the page; None: the job belongs to no flow.

    `names_batches`: the reader sees everybody's jobs, and so what a batch is called and how many it has.
    """
    if len(graph) < 2:
        return None
    boxes = {box.id: box for box in _boxes(graph, job, site, names_batches, now)}
    _place(boxes, graph.lines)
    paths = [_path(boxes[line.source], boxes[line.target], line.kind) for line in sorted(graph.lines, key=str)]
    width = max(box.x for box in boxes.values()) + WIDTH + EDGE
    height = max(box.y for box in boxes.values()) + HEIGHT + EDGE
    return Flow(
        list(boxes.values()),
        paths,
        width,
        height,
        _outline(boxes, graph.lines),
        _notes(graph, job, site, names_batches),
    )


def _boxes(graph: FlowGraph, current: Job, site: str, names_batches: bool, now: Any) -> Iterable[Box]:
    for id, job in graph.jobs.items():
        kind = "current" if id == current.pk else "job"
        address = reverse(f"{site}:jobs_job_change", args=[id])
        yield _box(id, visible(job.task), job.shown_state(now), kind, address)
    for id, state in graph.ended.items():
        yield _box(id, f"…{str(id)[-8:]}", state, "gone", "")
    for id, batch in graph.batches.items():
        name = visible(batch.name) if names_batches and batch.name else _("batch")
        state = "" if batch.ended_at is None else "completed" if batch.succeeded else "failed"
        address = reverse(f"{site}:jobs_batch_change", args=[id]) if names_batches else ""
        yield _box(id, name, state, "batch", address)


def _box(id: UUID, name: str, state: str, kind: str, address: str) -> Box:
    mark, word = MARKS.get(state), STATE_WORDS.get(state, _("open") if kind == "batch" else "")
    # the last word of a task's name tells more than its app
    short = name if len(name) <= LETTERS else name.rpartition(".")[2]
    return Box(
        id=id,
        text=Truncator(short).chars(LETTERS),
        title=f"{name} …{str(id)[-8:]}: {word}",
        state=state,
        word=word,
        tone=f"tone-{mark.tone}" if mark else "",
        shape=SHAPES[mark.shape] if mark else SafeString(""),
        kind=kind,
        address=address,
    )


def _place(boxes: Mapping[UUID, Box], lines: Iterable[Line]) -> None:
    """Each behind all that it comes after; in a column near the middle of what it comes after."""
    before: dict[UUID, list[UUID]] = {id: [] for id in boxes}
    for line in lines:
        before[line.target].append(line.source)
    column = dict.fromkeys(boxes, 0)
    for _step in range(len(boxes)):
        moved = False
        for id, sources in before.items():
            least = max((column[source] + 1 for source in sources), default=0)
            # rows that name each other make no endless line
            if column[id] < least < len(boxes):
                column[id], moved = least, True
        if not moved:
            break
    columns: dict[int, list[Box]] = {}
    for id, box in boxes.items():
        columns.setdefault(column[id], []).append(box)
    tallest = max(map(len, columns.values())) * (HEIGHT + DOWN)
    for index, (number, column_boxes) in enumerate(sorted(columns.items())):
        if number:
            column_boxes.sort(key=lambda box: _middle([boxes[source].y for source in before[box.id]]))
        top = EDGE + (tallest - len(column_boxes) * (HEIGHT + DOWN)) // 2
        for place, box in enumerate(column_boxes):
            box.x, box.y = EDGE + index * (WIDTH + ACROSS), top + place * (HEIGHT + DOWN)


def _middle(numbers: Sequence[int]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def _path(source: Box, target: Box, kind: str) -> Path:
    x1, y1 = source.x + WIDTH, source.y + HEIGHT // 2
    x2, y2 = target.x - 3, target.y + HEIGHT // 2
    bend = max(24, (x2 - x1) // 2)
    return Path(f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}", kind)


def _outline(boxes: Mapping[UUID, Box], lines: Iterable[Line]) -> SafeString:
    """A nested list: each once, below the first that it comes after, with the others named."""
    after: dict[UUID, list[UUID]] = {id: [] for id in boxes}
    before: dict[UUID, list[UUID]] = {id: [] for id in boxes}
    for line in sorted(lines, key=str):
        after[line.source].append(line.target)
        before[line.target].append(line.source)
    told: set[UUID] = set()

    def told_list(ids: Iterable[UUID], depth: int) -> SafeString:
        fresh = [id for id in ids if id not in told]
        told.update(fresh)
        items = [(item(id), told_list(after[id], depth + 1)) for id in fresh]
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}{}</li>", items)) if items else SafeString("")

    def item(id: UUID) -> SafeString:
        box = boxes[id]
        name = format_html('<a href="{}">{}</a>', box.address, box.text) if box.address else box.text
        here = format_html(" <strong>{}</strong>", _("this job")) if box.kind == "current" else ""
        others = [boxes[source].text for source in before[id]]
        names = ", ".join(others[:NAMED]) + (" …" if len(others) > NAMED else "")
        also = format_html(" ({})", _("after %(names)s") % {"names": names}) if len(others) > 1 else ""
        return format_html("{} {}{}{}", box.mark, name, here, also)

    roots = [id for id in boxes if not before[id]]
    parts = [told_list(roots, 0), told_list(boxes, 0)]
    return format_html_join("", "{}", ((part,) for part in parts))


def _notes(graph: FlowGraph, job: Job, site: str, names_batches: bool) -> list[tuple[str, str]]:
    found = []
    for id, rest in graph.rest.items() if names_batches else ():
        text = _("and %(count)s more jobs of the batch") % {"count": rest}
        found.append((text, reverse(f"{site}:jobs_batch_change", args=[id])))
    if graph.hidden:
        text = _("and %(count)d more jobs next to these") % {"count": graph.hidden}
        found.append((text, ""))
    if graph.more:
        found.append((_("and more that this job has enqueued, or that are further away"), _children(job, site)))
    return found


def _children(job: Job, site: str) -> str:
    return f"{reverse(f'{site}:jobs_job_changelist')}?parent_id={job.pk}"
