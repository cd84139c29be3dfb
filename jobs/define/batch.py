"""Many jobs with one count, one end and jobs that follow it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.transaction import Atomic

from .. import clock
from ..enqueue import batch as accepting
from ..enqueue.accept import or_unavailable
from ..enqueue.unblock import end_batch
from ..errors import InvalidOption, Refused
from .awaited import find_batches_by
from .context import job_here
from .flow import Call, Chain, hear_of, nodes_of
from .handle import JobHandle

if TYPE_CHECKING:
    from ..history.batch_counts import BatchCounts
    from ..models import Batch as Row

#: Jobs that are written at once.
CHUNK = 1_000
#: Characters of a name.
LONGEST_NAME = 200


class Batch:
    """Many jobs with one count and one end. All that a `with` block adds commits together, or nothing does.

        with Batch("import 42", on_complete=report.bind(42)) as batch:
            batch.add_many(task.bind(row) for row in rows)

    It ends when all its jobs have ended, also those that its running jobs add (`current_job().batch.add(...)`). Then,
    once each: `on_complete` in any case, `on_success` if all jobs completed, `on_failure` if at least one did not.
    Where dead letters are retried later and all have completed, `on_success` follows then; nothing else comes again.
    """

    def __init__(
        self,
        name: str = "",
        *,
        on_complete: Call | None = None,
        on_success: Call | None = None,
        on_failure: Call | None = None,
    ) -> None:
        self.id = clock.new_id()
        self._name = _checked_name(name)
        given = {"complete": on_complete, "success": on_success, "failure": on_failure}
        self._follow = {role: _checked_follower(role, call) for role, call in given.items() if call is not None}
        self._is_new = self._alone = True
        self._block: Atomic | None = None
        self._known: weakref.WeakKeyDictionary[Call, UUID] = weakref.WeakKeyDictionary()

    @classmethod
    def get(cls, batch: UUID | str) -> Batch:
        """A batch by its id, or the id's text; raises `UnknownBatch`."""
        from ..history import batches

        row = batches.row_of(_checked_id(batch))
        return cls._of(row.pk, row.name)

    @classmethod
    def _of(cls, id: UUID, name: str = "") -> Batch:
        found = cls(name)
        found.id, found._is_new = id, False
        return found

    def __repr__(self) -> str:
        return f"<Batch {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Batch) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __enter__(self) -> Batch:
        if not self._is_new:
            raise Refused(f"batch {self.id}: one `with` block begins a batch: make another Batch(...)")
        self._alone = accepting.stands_alone()
        with or_unavailable(self._alone):
            block = accepting.open_block()
            block.__enter__()
            self._is_new, self._block = False, block
            try:
                accepting.write_batch(self.id, self._name)
                for role, call in self._follow.items():
                    accepting.add_follower(self.id, role, replace(call.job, id=clock.new_id()))
            except BaseException as error:
                self._leave(type(error), error, error.__traceback__)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with or_unavailable(self._alone and error is None):
            if error is None:
                try:
                    end_batch(self.id)
                except BaseException as failure:
                    self._leave(type(failure), failure, failure.__traceback__)
                    raise
            self._leave(kind, error, traceback)

    def _leave(self, *raised: Any) -> None:
        block, self._block = self._block, None
        if block is not None:
            block.__exit__(*raised)

    def add(self, call: Call | Chain) -> JobHandle:
        """Add a call, and those that it waits for; returns its job. Of a chain that of the last call.

        In the `with` block, or by a running job of the batch, in its transaction or one of its own. Within one block a
        call is one job, however often it is named. Raises `Refused` elsewhere, or once the batch has ended or was
        cancelled, and what `enqueue` raises.
        """
        return self._add_all([call])[-1]

    def add_many(self, calls: Iterable[Call | Chain]) -> list[JobHandle]:
        """Add many calls; returns their jobs in order, of a chain all of them.

        The calls are taken from the iterable a thousand at a time; what a running job adds commits by such pieces
        where no transaction is open. Raises what `add` raises.
        """
        if isinstance(calls, (str, bytes, Call, Chain)) or not isinstance(calls, Iterable):
            raise InvalidOption(f"add_many({calls!r}): expected several calls: write [task.bind(1), task.bind(2)]")
        left = iter(calls)
        handles: list[JobHandle] = []
        while chunk := list(islice(left, CHUNK)):
            handles += self._add_all(chunk)
        return handles

    def _add_all(self, given: Iterable[Call | Chain]) -> list[JobHandle]:
        calls = [call for one in given for call in _calls(one)]
        if self._block is not None:
            with or_unavailable(self._alone):
                return self._write(calls)
        from ..history import batches

        job = job_here()
        if job is None or not batches.is_job_of(job.id, self.id):
            text = "jobs are added in its `with` block, or by a running job of it: current_job().batch.add(...)"
            raise Refused(f"batch {self.id}: {text}")
        with or_unavailable(accepting.stands_alone()), accepting.open_block():
            if not accepting.hold_open(self.id):
                raise Refused(f"batch {self.id} has ended, or was cancelled: begin another one")
            return self._write(calls)

    def _write(self, calls: list[Call]) -> list[JobHandle]:
        jobs, nodes = nodes_of(calls, self._known)
        own = {node.job.id for node in nodes}
        hear_of({awaited for node in nodes for awaited in node.after} - own)
        answers = {}
        if nodes:
            with accepting.savepoint():
                answers = {node.job.id: one for node, one in zip(nodes, accepting.add(self.id, nodes), strict=True)}
        self._remember(calls, jobs)
        return [JobHandle(*answers.get(jobs[id(call)], (jobs[id(call)], True))) for call in calls]

    def _remember(self, calls: list[Call], jobs: Mapping[int, UUID]) -> None:
        todo = list(calls)
        while todo:
            call = todo.pop()
            if call not in self._known:
                self._known[call] = jobs[id(call)]
                todo += [one for one in call.prepared.options.after if isinstance(one, Call)]

    @property
    def name(self) -> str:
        """What it was called."""
        return self._name

    @property
    def counts(self) -> BatchCounts:
        """How many of its jobs are where, at this moment; exact, whatever retention keeps of them."""
        from ..history import batches

        return batches.counts_of(self.id)

    @property
    def progress(self) -> float:
        """Which part of its jobs has ended, from 0.0 to 1.0."""
        return self.counts.progress

    @property
    def ended_at(self) -> datetime | None:
        """When it ended; None as long as it has not. Raises `UnknownBatch`."""
        return self._row().ended_at

    @property
    def succeeded(self) -> bool:
        """Whether it has ended and all its jobs have completed. Raises `UnknownBatch`."""
        return self._row().succeeded

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled it. Raises `UnknownBatch`."""
        return self._row().cancelled

    def _row(self) -> Row:
        from ..history import batches

        return batches.row_of(self.id)

    def handles(self) -> Iterator[JobHandle]:
        """Its jobs, in the order of their ids; read a thousand at a time."""
        from ..history import batches

        return (JobHandle(id) for id in batches.job_ids(self.id))

    def cancel(self) -> None:
        """Cancel what waits, and ask what runs to stop; it ends when that has, and what follows, follows.

        Nothing is added any more. Of one that has ended nothing changes. Raises `UnknownBatch`.
        """
        from ..operate.batches import cancel_batch

        cancel_batch(self.id)


def _calls(one: Any) -> Iterable[Call]:
    if isinstance(one, Chain):
        return one.linked()
    if not isinstance(one, Call):
        raise InvalidOption(f"add({one!r}): expected a call: write task.bind(...)")
    return (one,)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidOption(f"Batch({name!r}): expected a name of at most {LONGEST_NAME} characters, in one line")
    return name


def _checked_follower(role: str, call: object) -> Call:
    if not isinstance(call, Call):
        raise InvalidOption(f"on_{role}={call!r}: expected a call: write task.bind(...)")
    if call.prepared.options.after:
        raise InvalidOption(f"on_{role}={call!r} has after=: it waits for the batch alone; let it enqueue what follows")
    if call.job.sequence:
        text = "a batch that does not end would hold the sequence up; let it enqueue one of the sequence"
        raise InvalidOption(f"on_{role}={call!r} has a sequence: {text}")
    return call


def _checked_id(given: object) -> UUID:
    try:
        return given if isinstance(given, UUID) else UUID(given)  # type: ignore[arg-type]
    except (AttributeError, TypeError, ValueError):
        raise InvalidOption(f"Batch.get({given!r}): expected a batch's id (a UUID or its text)") from None


def _find(job_id: UUID) -> Batch | None:
    from ..history import batches

    found = batches.batch_id_of(job_id)
    return None if found is None else Batch.get(found)


find_batches_by(_find)
