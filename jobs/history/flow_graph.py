"""The flow that a job belongs to: what it waits for and what waits for it, its batch, what enqueued it and what it did.

Found outward from the job, so that what is nearest is in it where not everything can be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import QuerySet

from ..models import Batch, Edge, Job, Member
from . import batches, lookup

#: Jobs and batches of one graph, and how far from the job it reaches.
MOST, REACH = 60, 12
#: Jobs of one batch, and on either side of one job; and of what the job enqueued.
MOST_MEMBERS, FAN, MOST_CHILDREN = 12, 12, 12
#: Edges that one step reads.
READ = 500


@dataclass(frozen=True, slots=True)
class Line:
    """From what comes first to what comes after; `kind`: *after*, *parent* (has enqueued), *batch*."""

    source: UUID
    target: UUID
    kind: str


@dataclass(slots=True)
class FlowGraph:
    """`jobs` and `batches` by their ids, as far as they are shown; `ended`: how those ended that are not kept.

    `hidden` are more that are known, `more` says that there may be others; `rest`: how many more jobs a batch has.
    """

    jobs: dict[UUID, Job] = field(default_factory=dict)
    ended: dict[UUID, str] = field(default_factory=dict)
    batches: dict[UUID, Batch] = field(default_factory=dict)
    lines: set[Line] = field(default_factory=set)
    rest: dict[UUID, lookup.Capped] = field(default_factory=dict)
    hidden: int = 0
    more: bool = False

    def __len__(self) -> int:
        return len(self.jobs) + len(self.ended) + len(self.batches)


def flow_of(job: Job, seen: QuerySet[Job]) -> FlowGraph:
    """The flow around the job, of the jobs that may be seen; of one that belongs to none, the job alone."""
    graph = FlowGraph(jobs={job.pk: job})
    alias = lookup.all_jobs().db
    _add_family(graph, job, seen)
    missed: set[UUID] = set()
    level: set[UUID] = {job.pk}
    told: set[UUID] = set()
    for _step in range(REACH):
        edges, cut = _edges(level, {*graph.jobs, *graph.ended}, alias)
        missed.update(cut)
        known = {edge.awaited_id: edge.state for edge in edges}
        near = [id for edge in edges for id in (edge.awaited_id, edge.waiting_id)]
        near += _add_batches(graph, level, alias, told)
        fresh = list(dict.fromkeys(id for id in near if id not in graph.jobs and id not in graph.ended))
        room = MOST - len(graph)
        missed.update(fresh[room:])
        found = {one.pk: one for one in seen.filter(pk__in=fresh[:room])}
        foreign = set(lookup.all_jobs().filter(pk__in=set(fresh[:room]) - set(found)).values_list("pk", flat=True))
        for id in fresh[:room]:
            if id in found:
                graph.jobs[id] = found[id]
            elif id not in foreign and known.get(id):
                graph.ended[id] = known[id]
        for edge in edges:
            graph.lines.add(Line(edge.awaited_id, edge.waiting_id, "after"))
        level = set(found)
        if not level or room <= 0:
            break
    else:
        graph.more = bool(level)
    shown = {*graph.jobs, *graph.ended, *graph.batches}
    graph.lines = {line for line in graph.lines if line.source in shown and line.target in shown}
    of_batches = batches.members().filter(batch_id__in=list(graph.batches), job_id__in=list(missed - shown), role="")
    near_by = missed - shown - set(of_batches.values_list("job_id", flat=True))
    # of jobs that may not be seen not even how many there are is told
    foreign = set(lookup.all_jobs().filter(pk__in=near_by).values_list("pk", flat=True))
    foreign -= set(seen.filter(pk__in=near_by).values_list("pk", flat=True))
    graph.hidden = len(near_by - foreign)
    for id in graph.batches:
        total = lookup.capped_count(batches.members().filter(batch_id=id, role=""))
        left = total.number - sum(line.target == id for line in graph.lines)
        if left > 0:
            graph.rest[id] = lookup.Capped(left, more=total.more)
    return graph


def _add_family(graph: FlowGraph, job: Job, seen: QuerySet[Job]) -> None:
    """What enqueued the job, and what it enqueued itself."""
    if job.parent_id is not None and (parent := seen.filter(pk=job.parent_id).first()) is not None:
        graph.jobs[parent.pk] = parent
        graph.lines.add(Line(parent.pk, job.pk, "parent"))
    children = list(seen.filter(parent_id=job.pk).order_by("pk")[: MOST_CHILDREN + 1])
    graph.more = len(children) > MOST_CHILDREN
    for child in children[:MOST_CHILDREN]:
        graph.jobs[child.pk] = child
        graph.lines.add(Line(job.pk, child.pk, "parent"))


def _edges(ids: Collection[UUID], shown: Collection[UUID], alias: str) -> tuple[list[Edge], set[UUID]]:
    """Some edges of each of these jobs, first those to jobs that are there; and the jobs at the ends of the others."""
    rows = Edge.objects.using(alias).only("waiting_id", "awaited_id", "state", "position")
    found: list[Edge] = []
    cut: set[UUID] = set()
    for mine, other, order in (("waiting_id", "awaited_id", "position"), ("awaited_id", "waiting_id", "pk")):
        fan: dict[UUID, int] = {}
        edges = list(rows.filter(**{f"{mine}__in": ids}).order_by(mine, order)[:READ])
        for edge in sorted(edges, key=lambda edge: getattr(edge, other) not in shown):
            count = fan[getattr(edge, mine)] = fan.get(getattr(edge, mine), 0) + 1
            if count <= FAN or getattr(edge, other) in shown:
                found.append(edge)
            else:
                cut.add(getattr(edge, other))
    return found, cut


def _add_batches(graph: FlowGraph, ids: Iterable[UUID], alias: str, told: set[UUID]) -> list[UUID]:
    """The batches of these jobs, each once; returns some of their jobs, and what follows them."""
    mine = list(batches.members().filter(job_id__in=list(ids))[:READ])
    fresh = [id for id in dict.fromkeys(one.batch_id for one in mine) if id not in told]
    told.update(fresh)
    rows = Batch.objects.using(alias).in_bulk(fresh[: max(0, MOST - len(graph))])
    found: list[UUID] = []
    for id, batch in rows.items():
        graph.batches[id] = batch
        of_batch = batches.members().filter(batch_id=id)
        members = list(of_batch.filter(role="").exclude(state="completed").order_by("state", "pk")[:MOST_MEMBERS])
        members += list(of_batch.filter(role="", state="completed").order_by("pk")[: MOST_MEMBERS - len(members)])
        members = _with(members, [one for one in mine if one.batch_id == id and not one.role])
        graph.lines.update(Line(one.job_id, id, "batch") for one in members)
        follow = batches.followers(id)
        graph.lines.update(Line(id, job_id, "batch") for job_id in follow.values())
        found += [*(one.job_id for one in members), *follow.values()]
    # those that were found from a job of theirs that is already there
    graph.lines.update(Line(one.job_id, one.batch_id, "batch") for one in mine if not one.role)
    graph.lines.update(Line(one.batch_id, one.job_id, "batch") for one in mine if one.role)
    return found


def _with(members: Sequence[Member], mine: Sequence[Member]) -> list[Member]:
    """The members, of which those that led here are some, and no more than before."""
    ids = {one.job_id for one in mine}
    return [*mine, *(one for one in members if one.job_id not in ids)][:MOST_MEMBERS]
