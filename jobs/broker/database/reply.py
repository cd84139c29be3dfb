"""The last reply to each worker, kept until its next one: should it get lost, the same number brings it again.

What a worker claimed stands in the jobs' rows, and is read from there; the rest is a short text in the worker's row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from ... import clock
from ...policy import QueuePolicy
from ...states import State
from ..contract import PACE_GUARD
from ..records import Answer, ClaimedJob, Exchange, Settled, Settlement
from .claim import claimed_job, policy_held, start_order
from .connection import Trip
from .outcomes import BUSY, REFUSED, token_number
from .values import id_of, moment_of, text_of


@dataclass(frozen=True, slots=True)
class KnownWorker:
    """What the store knows of a worker; `number`, `exchanged_at` and `reply` are those of its last exchange."""

    label: str = ""
    may_claim: bool = False
    number: int | None = None
    exchanged_at: datetime | None = None
    reply: str = ""

    def is_repeated(self, number: int) -> bool:
        """Whether this number was answered already; raises ValueError for a lower one."""
        if self.number is None or number > self.number:
            return False
        if number == self.number:
            return True
        raise ValueError(f"exchange number {number}: this worker has made exchange {self.number} already")


def known_worker(found: Sequence[Sequence[Any]]) -> KnownWorker:
    """The worker of `read_process`; one without a row is unknown."""
    if not found:
        return KnownWorker()
    host, pid, may_claim, number, exchanged_at, reply, _ending = found[0]
    at = None if exchanged_at is None else moment_of(exchanged_at)
    return KnownWorker(f"{host}:{pid}", bool(may_claim), number, at, reply)


def save_reply(
    trip: Trip, worker: UUID, number: int, settlements: Sequence[Settlement], answer: Exchange, at: datetime
) -> None:
    """Remember what an exchange answers; `at` is when its jobs were claimed."""
    pairs = list(zip(settlements, answer.settled, strict=True))
    reply: dict[str, Any] = {
        "settled": {one.job.id.hex: said.state for one, said in pairs if said.counted},
        "wait": answer.wait,
    }
    if list(answer.jobs) != sorted(answer.jobs, key=start_order):
        reply["order"] = [job.id.hex for job in answer.jobs]
    trip.run("save_reply", worker=worker.hex, number=number, exchanged_at=text_of(at), reply=json.dumps(reply))


def read_reply(
    trip: Trip, worker: UUID, known: KnownWorker, policy: QueuePolicy, settlements: Sequence[Settlement]
) -> Exchange:
    """The reply to the worker's last exchange once more."""
    reply = json.loads(known.reply or '{"settled": {}, "wait": null}')
    said = {UUID(id): Settled(Answer.COUNTED, State(state)) for id, state in reply["settled"].items()}
    said |= dict.fromkeys(still_held(trip, worker, settlements), BUSY)
    return Exchange(
        settled=tuple(said.pop(one.job.id, REFUSED) for one in settlements),
        jobs=_read_claimed(trip, worker, known.exchanged_at, policy, reply.get("order")),
        wait=reply["wait"] if reply["wait"] is None else max(0.0, reply["wait"]),
    )


def still_held(trip: Trip, worker: UUID, settlements: Sequence[Settlement]) -> set[UUID]:
    """The jobs of those settlements that the worker still holds: what did not count was busy."""
    claims = [
        {"id": one.job.id.hex, "token": token}
        for one in settlements
        if (token := token_number(one.job.token)) is not None
    ]
    found = trip.run("read_still_held", worker=worker.hex, claims=json.dumps(claims)) if claims else []
    return {id_of(id) for (id,) in found}


def _read_claimed(
    trip: Trip, worker: UUID, exchanged_at: datetime | None, policy: QueuePolicy, order: list[str] | None
) -> tuple[ClaimedJob, ...]:
    if exchanged_at is None:
        return ()
    found = trip.run("read_claimed", worker=worker.hex, exchanged_at=trip.parameter(exchanged_at))
    monotonic = clock.monotonic() - (trip.now - exchanged_at).total_seconds()
    jobs = sorted((claimed_job(row, policy.name, exchanged_at, monotonic) for row in found), key=start_order)
    if order is not None:
        places = {id: place for place, id in enumerate(order)}
        jobs.sort(key=lambda job: places[job.id.hex])
    # their slots were granted then, and not for now; a group may have a pace of its own
    is_paced = policy_held(trip, policy).rate_limit is not None
    jobs = [
        replace(job, start_by=monotonic + PACE_GUARD) if is_paced or job.group or job.task in policy.limits else job
        for job in jobs
    ]
    return tuple(jobs)
