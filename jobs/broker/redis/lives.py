"""What a server may have lost: its last second, or all it held. See `lua/parts/life.lua`."""

from __future__ import annotations

import os
import re
import socket
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ...policy import QueuePolicy
from ..lanes import lane_of
from ..records import ClaimedJob, Healed, Life, LivingRow, NewJob, Settlement
from .moments import micros
from .scripts import Scripts, decode
from .values import id_word, new_job, settled_words, told_of, word

#: What `exchange.lua` answers to a settlement whose token is of another life than the present one.
FORMER = "former"
#: How many places are read in one step.
PAGE = 10_000
#: How many records or places are looked at in one script.
STEP = 1_000
_TOKEN = re.compile(r"[0-9a-f]{24}\.\d+")


class Lives:
    """The lives of a server, as the keeper and the workers of one process see them."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        # by worker: the jobs that it holds, by their tokens, and in which life it has spoken last
        self._held: defaultdict[UUID, dict[str, UUID]] = defaultdict(dict)
        self._generations: dict[UUID, str] = {}

    def life(self, queue: str, generation: str, after: str) -> Life:
        """Which life it is; see the contract."""
        return Life(*self._run("life", queue, generation=generation, after=after))

    def mend(
        self, queue: str, live: Sequence[LivingRow], over: Sequence[tuple[UUID, int]], done: str
    ) -> frozenset[UUID]:
        """Let the queue know what the history knows better; see the contract."""
        known = self._run(
            "mend",
            queue,
            live=[(id_word(one.id), one.run, one.attempts, one.starts, one.lost) for one in live],
            over=[(id_word(id), run) for id, run in over],
            done=done or False,
        )
        return frozenset(one.id for one, is_known in zip(live, known, strict=True) if not is_known)

    def adopt(self, queue: str, held: Sequence[NewJob], grants: Sequence[datetime]) -> frozenset[UUID]:
        """Let what another broker's workers hold count here; see the contract."""
        told, jobs = map(told_of, held), list(map(new_job, held))
        left = self._scripts.run("adopt", queue, *told, jobs=jobs, grants=list(map(micros, grants)))
        return frozenset(UUID(bytes=left[i : i + 16]) for i in range(0, len(left), 16))

    def heal(self, queue: str) -> Healed:
        """Set right what a foreign hand has left; see the contract."""
        is_well, back, gone = self._run("heal", queue, ids=[], places=[])
        if is_well:
            return Healed()
        for ids in self._records(queue):
            back += self._run("heal", queue, ids=ids, places=[])[1]
        for places in self._places(queue):
            for start in range(0, len(places), STEP):
                gone += self._run("heal", queue, ids=[], places=list(map(word, places[start : start + STEP])))[2]
        return Healed(back, gone)

    def live_ids(self, queue: str) -> Iterator[Sequence[UUID]]:
        """The ids of the queue's live jobs; see the contract."""
        yield [UUID(bytes=id) for id in self._scripts.command("HKEYS", queue, "active")]
        yield from self.waiting_ids(queue)

    def waiting_ids(self, queue: str) -> Iterator[Sequence[UUID]]:
        """The ids of those that wait; one that moves meanwhile may be missed."""
        for places in self._places(queue):
            yield [UUID(bytes=place[-16:]) for place in places]

    def _places(self, queue: str) -> Iterator[Sequence[bytes]]:
        for order in ("waiting", "lanes", "due", "alone"):
            start = 0
            while places := self._scripts.command("ZRANGE", queue, order, start, start + PAGE - 1):
                yield places
                start += PAGE

    def _records(self, queue: str) -> Iterator[Sequence[Any]]:
        cursor = b"0"
        while True:
            cursor, found = self._scripts.command("HSCAN", queue, "jobs", cursor, "COUNT", STEP)
            if found:
                yield list(map(word, found[::2]))
            if int(cursor) == 0:
                return

    def note_exchange(
        self, worker: UUID, queue: str, generation: str, settlements: Sequence[Settlement], jobs: Sequence[ClaimedJob]
    ) -> None:
        """Note what a worker holds after an exchange; in a new life that gives back what else it is said to hold."""
        held = self._held[worker]
        for settlement in settlements:
            held.pop(settlement.job.token, None)
        for job in jobs:
            held[job.token] = job.id
        if self._generations.get(worker, generation) != generation:
            self._run("confirm", queue, worker=worker.hex, ids=[id_word(id) for id in held.values()])
        self._generations[worker] = generation

    def forget(self, worker: UUID) -> None:
        """A worker is gone."""
        self._held.pop(worker, None)
        self._generations.pop(worker, None)

    def testify(
        self, worker: UUID, policy: QueuePolicy, settlements: Sequence[Settlement], states: Sequence[Any]
    ) -> list[Any]:
        """The states, after what was claimed in another life is settled in this one."""
        answered = list(states)
        places = [i for i, state in enumerate(states) if state == FORMER]
        told = [i for i in places if _TOKEN.fullmatch(settlements[i].job.token)]
        for i in places:
            answered[i] = False
        if told:
            ended = [settlements[i] for i in told]
            again = [_as_new(one.job, policy) for one in ended]
            reached = self._run(
                "testify",
                policy.name,
                *settled_words(worker.hex, ended),
                *map(told_of, again),
                worker=worker.hex,
                label=f"{socket.gethostname()[:100]}:{os.getpid()}",
                many=len(ended),
                jobs=[_as_claimed(one.job, job) for one, job in zip(ended, again, strict=True)],
            )
            for i, state in zip(told, reached, strict=True):
                answered[i] = state
        return answered

    def _run(self, script: str, queue: str, *words: bytes | str, **ask: Any) -> Any:
        return decode(self._scripts.run(script, queue, *words, **ask))


class Recovering:
    """What the contract says of a store that may have lost something."""

    def __init__(self, scripts: Scripts) -> None:
        self._lives = Lives(scripts)

    def life(self, queue: str, generation: str, after: str) -> Life:
        """Which life the server lives; see the contract."""
        return self._lives.life(queue, generation, after)

    def mend(
        self, queue: str, live: Sequence[LivingRow] = (), over: Sequence[tuple[UUID, int]] = (), done: str = ""
    ) -> frozenset[UUID]:
        """Let the queue know what the history knows better; see the contract."""
        return self._lives.mend(queue, live, over, done)

    def live_ids(self, queue: str) -> Iterator[Sequence[UUID]]:
        """The ids of the queue's live jobs; see the contract."""
        return self._lives.live_ids(queue)

    def adopt(self, queue: str, held: Sequence[NewJob], grants: Sequence[datetime] = ()) -> frozenset[UUID]:
        """Let what another broker's workers hold count here; see the contract."""
        return self._lives.adopt(queue, held, grants)

    def heal(self, queue: str) -> Healed:
        """Set right what a foreign hand has left; see the contract."""
        return self._lives.heal(queue)


def _as_claimed(job: ClaimedJob, again: NewJob) -> dict[str, Any]:
    unknown = job.unknown_since
    return {**new_job(again), "unknown": False if unknown is None else micros(unknown)}


def _as_new(job: ClaimedJob, policy: QueuePolicy) -> NewJob:
    return NewJob(
        id=job.id,
        queue=job.queue,
        task=job.task,
        message=job.message,
        priority=job.priority,
        run=job.run,
        key=job.key,
        ready_at=job.ready_at,
        expires_at=job.expires_at,
        event=job.event,
        event_id=job.event_id,
        about=job.about,
        scope=job.scope,
        group=job.group,
        tags=job.tags,
        attempts=job.attempts,
        starts=job.starts,
        lost=job.lost,
        lane=lane_of(job.group, job.task, ruled=policy.has_lane(job.task)),
    )
