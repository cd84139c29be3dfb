"""Atomic tasks (G3): a marker in the jobs' database says what Redis has not heard of yet."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from uuid import UUID

from ... import clock
from ...errors import BrokerAway, LeaseLost
from ...policy import QueuePolicy
from ...states import State
from ..guard import Guard
from ..markers import Markers
from ..records import Answer, ClaimedJob, Completed, Settled, Settlement
from .scripts import Scripts


class AtomicTasks:
    """The places where this broker acts in the transaction of an atomic task."""

    _scripts: Scripts
    _given_markers: Markers | None
    _guards: defaultdict[str, Guard]

    def holds(self, queue: str, job_id: UUID, token: str) -> bool:
        """Whether the job is still active under this token."""
        hold = self._scripts.command("HGET", queue, "active", job_id.bytes)
        return hold is not None and hold.split(b" ")[1] == token.encode()

    def begin_atomic(self, worker: UUID, policy: QueuePolicy, job: ClaimedJob) -> Completed | None:
        """Insert the job's marker, so that a second start waits for it or sees it; see the contract.

        The lease is looked at behind that: whoever gets the job from now on finds the marker.
        """
        began = clock.monotonic()
        done = self._markers.begin(job)
        if job.start_by is not None:
            # the way to the database is a part of the way to the task's first line
            self._guards[policy.name].learn(clock.monotonic() - began)
        if done is None and not self.holds(job.queue, job.id, job.token):
            raise LeaseLost(f"job {job.id} is no longer this worker's")
        return done

    def settle_in_transaction(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> Settled:
        """Let the marker say how the job ended; see the contract."""
        job, outcome = settlement.job, settlement.outcome
        if not isinstance(outcome, Completed):
            raise ValueError(f"an atomic task commits only when it has completed, not with {outcome!r}")
        self._markers.complete(job, outcome.result)
        with suppress(BrokerAway):
            # who was told meanwhile that the job ended otherwise is to be right; without an answer the marker decides
            if not self.holds(job.queue, job.id, job.token):
                return Settled(Answer.REFUSED)
        return Settled(Answer.COUNTED, State.COMPLETED)

    def has_committed(self, job: ClaimedJob) -> bool:
        """Whether the job's marker is there."""
        return self._markers.is_there(job)

    def after_atomic(self, worker: UUID, policy: QueuePolicy, settlement: Settlement) -> bool:
        """False: the server has not heard of it yet."""
        return False

    @property
    def _markers(self) -> Markers:
        if self._given_markers is None:
            raise RuntimeError("this broker was made without the markers that atomic tasks need")
        return self._given_markers
