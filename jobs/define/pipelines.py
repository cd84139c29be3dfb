"""Huey's pipelines: what `task.s(...)`, `.then(...)`, `.error(...)`, `group` and `chord` have made is one flow here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from huey.api import Task as HueyTask
from huey.api import chord, group

from ..broker.database.edges import ONLY_IF_FAILED
from ..enqueue.accept import Accepted
from ..enqueue.flow import Node
from ..errors import InvalidOption
from . import huey as huey_interface
from .flow import enqueue_nodes
from .handle import JobHandle
from .passed import Takes

if TYPE_CHECKING:
    from .task import Task


class ResultGroup:
    """The jobs of a pipeline or a group: iterating gives their handles, an index waits for the result of one."""

    do_not_call_in_templates = True

    def __init__(self, handles: Sequence[JobHandle | ResultGroup | ChordResult]) -> None:
        self._handles = handles

    def get(self, blocking: bool = False, timeout: float = 10) -> list[Any]:
        """The results in order; see `JobHandle.get`. `timeout` seconds are for all of them together."""
        end = time.monotonic() + timeout
        return [one.get(blocking, max(0.0, end - time.monotonic())) for one in self._handles]

    __call__ = get

    def __getitem__(self, index: int) -> Any:
        """The result of one, waited for."""
        return self._handles[index].get(blocking=True)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._handles)

    def __len__(self) -> int:
        return len(self._handles)


huey_interface.refuse(ResultGroup, huey_interface.RESULT_GROUP_REFUSED)


@dataclass(frozen=True)
class ChordResult:
    """The jobs of a chord: its members, the one that follows them all, and with it what follows that, if any does."""

    results: ResultGroup
    callback: JobHandle
    pipeline_results: ResultGroup | None = None
    do_not_call_in_templates: ClassVar[bool] = True

    def get(self, blocking: bool = False, timeout: float = 10) -> Any:
        """The callback's result; see `JobHandle.get`."""
        return self.callback.get(blocking, timeout)

    __call__ = get


huey_interface.refuse(ChordResult, huey_interface.CHORD_RESULT_REFUSED)


@dataclass(frozen=True)
class _Pipeline:
    """The ids of its jobs, without those that follow an error."""

    ids: Sequence[UUID]


@dataclass(frozen=True)
class _Chord:
    """The last job of each member, and the callback with what follows it."""

    members: Sequence[UUID]
    callback: Sequence[UUID]


_Woven = _Pipeline | _Chord | list[Any]


def enqueue_pipeline(made: object) -> JobHandle | ResultGroup | ChordResult:
    """Enqueue all jobs of a pipeline, group or chord, or none.

    Raises `InvalidOption` for anything else, `InvalidArguments`, and what `enqueue` raises.
    """
    loom = _Loom()
    woven = loom.weave(made)
    return _result(woven, enqueue_nodes(loom.nodes))


def _result(woven: _Woven, accepted: Mapping[UUID, Accepted]) -> JobHandle | ResultGroup | ChordResult:
    if isinstance(woven, list):
        return ResultGroup([_result(one, accepted) for one in woven])
    if isinstance(woven, _Chord):
        callback = _handles(woven.callback, accepted)
        members = ResultGroup(_handles(woven.members, accepted))
        return ChordResult(members, callback[0], ResultGroup(callback) if len(callback) > 1 else None)
    handles = _handles(woven.ids, accepted)
    return ResultGroup(handles) if len(handles) > 1 else handles[0]


def _handles(ids: Sequence[UUID], accepted: Mapping[UUID, Accepted]) -> list[JobHandle]:
    return [JobHandle(*accepted[id]) for id in ids]


class _Loom:
    """Makes the nodes of a flow of Huey's objects: who is waited for comes first."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._path: set[int] = set()

    def weave(self, made: object) -> _Woven:
        if isinstance(made, group):
            return [self.weave(one) for one in made.tasks]
        return self._chord(made) if isinstance(made, chord) else _Pipeline(self._pipeline(made))

    def _chord(self, made: Any) -> _Chord:
        members = []
        for one in made.tasks:
            if isinstance(one, group):
                raise InvalidOption("chord(): a group is no member: write group([...]).then(task), which is a chord")
            members.append(self._chord(one).callback[-1] if isinstance(one, chord) else self._pipeline(one)[-1])
        if members:
            return _Chord(members, self._pipeline(made.callback, tuple(members), Takes.RESULTS, "run"))
        return _Chord(members, self._pipeline(made.callback, more=([],)))

    def _pipeline(
        self,
        first: object,
        after: tuple[UUID, ...] = (),
        takes: Takes | None = None,
        on_failure: str = "",
        more: tuple[Any, ...] = (),
    ) -> list[UUID]:
        """Weave a job, and what follows it; the scope of each is that of the one before it, unless it has its own."""
        ids, own, scope = [], [], self.nodes[-1].job.scope if after else ""
        one: Any = first
        while one is not None:
            if not isinstance(one, HueyTask):
                raise InvalidOption(f"{one!r}: expected what task.s(...), group([...]) or chord([...], task) makes")
            if id(one) in self._path:
                raise InvalidOption(f"pipeline of {type(one).__name__}: it comes back to itself; write task.s() anew")
            self._path.add(id(one))
            own.append(id(one))
            job = _task_of(one).huey_job(one, more, takes)
            scope = job.scope or scope
            self.nodes.append(Node(replace(job, scope=scope), after, on_failure))
            ids.append(job.id)
            after, takes, on_failure, more = (job.id,), Takes.RESULT, "", ()
            if one.on_error is not None:
                self._pipeline(one.on_error, after, Takes.ERROR, ONLY_IF_FAILED)
            one = one.on_complete
        self._path.difference_update(own)
        return ids


def _task_of(one: HueyTask) -> Task:
    task: Task | None = getattr(one, "wrapper", None)
    if task is None:
        raise InvalidOption(f"{one!r}: its task is of another Huey: write task.s(...) of a task of a jobs.Queue")
    return task
