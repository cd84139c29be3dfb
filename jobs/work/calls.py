"""What a thread runs at a time: one job, or those that one call of a bulk task takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from ..broker.records import ClaimedJob, HandedBack, Settlement
from ..define.queue import Queue
from ..policy import MOST_AT_ONCE, MOST_BYTES

#: Several: in bulk.
Call = ClaimedJob | tuple[ClaimedJob, ...]
#: How a call has ended; None: it has settled by itself.
Ended = Settlement | deque[Settlement] | None


def calls_of(jobs: Sequence[ClaimedJob], queue: Queue) -> list[Call]:
    """What threads are to run of the jobs of a claim, in its order: of a bulk task those of one group together."""
    calls: list[Call | list[ClaimedJob]] = []
    open_bulks: dict[tuple[str, str], list[ClaimedJob]] = {}
    for job in jobs:
        task = queue.find_own_task(job.task)  # no other takes jobs in bulk
        if task is None or task.bulk is None:
            calls.append(job)
            continue
        which = (job.task, job.group)
        bulk = open_bulks.get(which)
        if bulk is None or len(bulk) >= task.bulk.most:
            bulk = open_bulks[which] = []
            calls.append(bulk)
        bulk.append(job)
    return [tuple(call) if isinstance(call, list) else call for call in calls]


def jobs_of(call: Call) -> tuple[ClaimedJob, ...]:
    """The jobs of a call."""
    return call if isinstance(call, tuple) else (call,)


def handed_back(call: Call, reason: str, delay: float | None = None) -> Ended:
    """The call goes back as a whole. With a delay it may have begun: its starts count."""
    outcome = HandedBack(reason, delay=delay)
    if not isinstance(call, tuple):
        return Settlement(call if delay is None else replace(call, grant=None), outcome)
    return deque(Settlement(job if delay is None else replace(job, grant=None), outcome) for job in call)


def take_ended(done: deque[Ended]) -> tuple[list[Settlement], int]:
    """What ended calls have to settle, as much as one exchange says; and how many calls have nothing more to say."""
    taken: list[Settlement] = []
    calls = size = 0
    while done and len(taken) < MOST_AT_ONCE and size < MOST_BYTES:
        ended = done.popleft()
        if isinstance(ended, Settlement):
            taken.append(ended)
        elif ended is not None:
            while ended and len(taken) < MOST_AT_ONCE and size < MOST_BYTES:
                taken.append(ended.popleft())
                size += _size_of(taken[-1])
            if ended:
                done.appendleft(ended)
                break
        calls += 1
    return taken, calls


def _size_of(settlement: Settlement) -> int:
    """Characters of what is written of it, about."""
    outcome = settlement.outcome
    return sum(len(getattr(outcome, name, None) or "") for name in ("result", "error", "traceback", "reason"))
