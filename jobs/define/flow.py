"""Jobs that wait for others: a call that is not enqueued yet, and calls of which each waits for the one before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections

from .. import clock
from ..broker import get_broker
from ..broker.records import NewJob
from ..conf import jobs_settings
from ..enqueue.accept import Accepted, accept
from ..enqueue.after_commit import in_transaction
from ..enqueue.flow import Node, accept_flow
from ..errors import InvalidOption
from .handle import JobHandle
from .reference import id_of

if TYPE_CHECKING:
    from .task import PreparedTask


NOTHING: Mapping[Any, UUID] = {}


@dataclass(frozen=True, eq=False, repr=False)
class Call:
    """A call of a task that is not enqueued yet: what `task.bind(...)` returns. Its arguments are checked.

    Enqueued as part of a flow it is one job of it, however many wait for it; enqueued again it is another job.
    """

    prepared: PreparedTask
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    job: NewJob

    def __repr__(self) -> str:
        return f"<Call of {self.prepared.task.name}>"

    def using(self, **options: Any) -> Call:
        """The same call with more options; see `Task.using`."""
        return self.prepared.using(**options).bind(*self.args, **self.kwargs)

    def enqueue(self) -> JobHandle:
        """Enqueue the call, and the calls that it waits for; all or none."""
        return enqueue_calls([self])[0]

    def following(self, before: Call) -> Call:
        """The same call that waits for one more."""
        options = self.prepared.options
        return replace(self, prepared=replace(self.prepared, options=replace(options, after=(*options.after, before))))


@dataclass(frozen=True, eq=False)
class Chain:
    """Calls of which each waits for the one before it; what `chain(...)` returns."""

    calls: tuple[Call, ...]

    def enqueue(self) -> list[JobHandle]:
        """Enqueue all calls, or none; their handles in order."""
        return enqueue_calls(self.linked())

    def linked(self) -> list[Call]:
        """The calls, each of which names the one before it."""
        linked: list[Call] = []
        for call in self.calls:
            linked.append(call.following(linked[-1]) if linked else call)
        return linked


def chain(*calls: Call | Chain) -> Chain:
    """Calls of which each begins when the one before it has completed; raises `InvalidOption` for anything else."""
    flat: list[Call] = []
    for one in calls:
        if not isinstance(one, (Call, Chain)):
            raise InvalidOption(f"chain({one!r}): expected calls: write task.bind(...)")
        flat += one.calls if isinstance(one, Chain) else [one]
    if not flat:
        raise InvalidOption("chain(): expected at least one call: write chain(a.bind(1), b.bind())")
    return Chain(tuple(flat))


def checked_after(after: Any) -> tuple[UUID | Call, ...]:
    """The jobs and calls that `after=` names, each once; raises `InvalidOption`."""
    if isinstance(after, (str, bytes, Call, Chain)) or not isinstance(after, Iterable):
        raise InvalidOption(f"after={after!r}: expected several jobs or calls to wait for: write after=[handle]")
    named: dict[UUID | Call, None] = {}
    for one in after:
        if isinstance(one, Chain):
            named[one.linked()[-1]] = None
        else:
            named[one if isinstance(one, Call) else id_of(one)] = None
    return tuple(named)


def enqueue_calls(calls: Sequence[Call]) -> list[JobHandle]:
    """Enqueue calls with those that they wait for, all or none; the handles of `calls` in order."""
    jobs, nodes = nodes_of(calls)
    accepted = enqueue_nodes(nodes)
    return [JobHandle(*accepted[jobs[id(call)]]) for call in calls]


def enqueue_nodes(nodes: Sequence[Node]) -> dict[UUID, Accepted]:
    """Enqueue the jobs of a flow, all or none; the answers by their ids."""
    if not any(node.after for node in nodes):
        answers = accept([node.job for node in nodes])
    else:
        own = {node.job.id for node in nodes}
        hear_of({awaited for node in nodes for awaited in node.after} - own)
        answers = accept_flow(nodes)
    return {node.job.id: answer for node, answer in zip(nodes, answers, strict=True)}


def nodes_of(calls: Sequence[Call], known: Mapping[Call, UUID] = NOTHING) -> tuple[dict[int, UUID], list[Node]]:
    """The job's id of each call, by the call itself, and all jobs of the flow: who is waited for comes first.

    `known`: calls that have become jobs already.
    """
    jobs: dict[int, UUID] = {}
    nodes: list[Node] = []
    todo = [(call, False) for call in reversed(calls)]
    while todo:
        call, is_ready = todo.pop()
        if id(call) in jobs:
            continue
        if call in known:
            jobs[id(call)] = known[call]
            continue
        options = call.prepared.options
        if not is_ready and any(isinstance(one, Call) for one in options.after):
            todo.append((call, True))
            todo += [(one, False) for one in reversed(options.after) if isinstance(one, Call)]
            continue
        jobs[id(call)] = clock.new_id()
        after = tuple(jobs[id(one)] if isinstance(one, Call) else one for one in options.after)
        nodes.append(Node(replace(call.job, id=jobs[id(call)]), after, options.on_failure or ""))
    return jobs, nodes


def hear_of(named: Iterable[UUID]) -> None:
    """On a broker that is not the rows: let jobs have their rows that live without one."""
    from ..history import live

    if not get_broker().rows_are_the_queue and named and not in_transaction(connections[jobs_settings().database]):
        live.hear()
