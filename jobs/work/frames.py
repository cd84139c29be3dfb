"""What a worker and the runners of its isolated jobs say to each other: MessagePack, no pickle.

A runner is a process that runs isolated jobs, one at a time. `jobs.work.runner` is its own life, `jobs.work.isolated`
how the worker sees one, `jobs.work.runners` all of them.
"""

from __future__ import annotations

from datetime import datetime
from multiprocessing.connection import Connection
from uuid import UUID

import msgspec

from ..broker.records import (
    ClaimedJob,
    Completed,
    Failed,
    GivenUp,
    HandedBack,
    Outcome,
    Postponed,
    Retried,
    Settlement,
)


class Work(msgspec.Struct, frozen=True, tag=True):
    """To a runner: run this job. Times of `clock.monotonic` are one machine's, whichever process reads them."""

    job: ClaimedJob


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """To a runner: somebody asks the job to stop."""

    id: UUID


class Stop(msgspec.Struct, frozen=True, tag=True):
    """To a runner: the worker is about to stop, iterations go on elsewhere."""


class End(msgspec.Struct, frozen=True, tag=True):
    """To a runner that has no job: there will be none."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """From a runner: it can take a job."""


class Begun(msgspec.Struct, frozen=True, tag=True):
    """From a runner: it has read the job and starts it."""


class Ended(msgspec.Struct, frozen=True, tag=True):
    """From a runner: how the job ended."""

    kind: str
    outcome: msgspec.Raw
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def by(cls, settlement: Settlement) -> Ended:
        """What a runner says of the settlement that it came to."""
        outcome = settlement.outcome
        encoded = msgspec.Raw(_encoder.encode(outcome))
        return cls(type(outcome).__name__, encoded, settlement.started_at, settlement.ended_at)

    def settlement(self, job: ClaimedJob) -> Settlement:
        """The same as the worker settles it."""
        outcome: Outcome = msgspec.msgpack.decode(self.outcome, type=_OUTCOMES[self.kind])
        return Settlement(job, outcome, self.started_at, self.ended_at)


_OUTCOMES: dict[str, type[Outcome]] = {
    kind.__name__: kind for kind in (Completed, Retried, Postponed, HandedBack, Failed, GivenUp)
}
_encoder = msgspec.msgpack.Encoder()
ToRunner = Work | Cancel | Stop | End
ToWorker = Ready | Begun | Ended
_to_runner: msgspec.msgpack.Decoder[ToRunner] = msgspec.msgpack.Decoder(ToRunner)
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)


def send(connection: Connection, frame: msgspec.Struct) -> None:
    """Say it; raises OSError where nobody listens."""
    connection.send_bytes(_encoder.encode(frame))


def heard_by_runner(connection: Connection) -> ToRunner | None:
    """The next that the worker says; None: it is gone."""
    try:
        return _to_runner.decode(connection.recv_bytes())
    except (EOFError, OSError):
        return None


def heard_by_worker(connection: Connection) -> ToWorker | None:
    """The next that the runner says; None: it is gone, or says what none would say."""
    try:
        return _to_worker.decode(connection.recv_bytes())
    except (EOFError, OSError, msgspec.MsgspecError):
        return None
