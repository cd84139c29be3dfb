"""Whatever makes a job due, an idle worker of the queue starts it at once (G2, G6): it sleeps long, and is told.

The look that is the net for lost hints is put off so far that no test could end by it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connections, transaction

from jobs import Fixed, Queue, RateLimit, RetryLater, clock
from jobs.broker.contract import PACE_GUARD, Broker
from jobs.broker.database.broker import DatabaseBroker
from jobs.broker.records import (
    ClaimedJob,
    Completed,
    Exchange,
    Failed,
    GivenUp,
    HandedBack,
    Outcome,
    Postponed,
    ProcessRecord,
    Retried,
    Settlement,
)
from jobs.enqueue.outbox import push_pending
from jobs.history import live
from jobs.models import Job, QueueState
from jobs.operate.pause import resume
from jobs.operate.promote import promote
from jobs.operate.retry import retry
from jobs.work import hints, pool
from jobs.work.consumer import QueueConsumer
from jobs.work.hints import HintEar

#: Seconds that a start may be late, and after which its hint counts as lost; without a hint it would be NET.
BOUND, LOST, NET = 0.4, 20.0, 60.0


class Worker:
    """A worker process's threads on a broker of their own."""

    def __init__(self, queue: Queue, broker: Broker) -> None:
        self.queue = queue
        self.broker = broker
        self.looks = 0
        self.record = ProcessRecord(clock.new_id(), "worker", queue.name, "here", os.getpid(), 2)
        self.broker.register(self.record, 60)
        self._plain_exchange = self.broker.exchange
        self.broker.exchange = self._exchange  # type: ignore[method-assign]
        self.consumer = QueueConsumer(queue, self.broker, self.record.id, threads=2, grace=5)
        self.ear = HintEar(self.broker, queue.name, self.consumer.pool.hear, self.consumer.pool.room)
        self.threads = [threading.Thread(target=self.consumer.run), self.ear]

    def _exchange(self, *args: Any, **options: Any) -> Exchange:
        answer = self._plain_exchange(*args, **options)
        self.looks += 1
        return answer

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def fall_asleep(self) -> None:
        """Return when it has looked in vain, and no hint is on its way any more."""
        self.wait_for(lambda: self.consumer.pool._hinted and self.looks)
        before = -1
        while before != self.looks:
            before = self.looks
            time.sleep(0.015)

    def wait_for(self, condition: Callable[[], object], limit: float = LOST) -> None:
        until = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < until, "did not happen in time"
            time.sleep(0.001)

    def end(self) -> None:
        self.consumer.drain()
        self.ear.end()
        for thread in self.threads:
            thread.join()
        self.broker.release(self.record, lost=False)
        self.broker.close()


class Scene:
    """A queue, its idle worker, and another process that works on the same queue; `starts` is when its jobs began."""

    def __init__(self, make_broker: Callable[[], Broker], **policy: Any) -> None:
        self._number = 0
        self.before: Any = None
        self.starts: list[float] = []
        self.queue = Queue("on_time", attempts=2, backoff=Fixed(0.1), concurrency=2, **policy)
        self.other = make_broker()
        self.others = ProcessRecord(clock.new_id(), "worker", "on_time", "elsewhere", 1, 2)
        self.other.register(self.others, 60)
        self.worker = Worker(self.queue, make_broker())

        @self.queue.task(name="on_time.note")
        def note() -> None:
            self.starts.append(time.monotonic())

        @self.queue.task(name="on_time.fail_at_first")
        def fail_at_first() -> None:
            self.starts.append(time.monotonic())
            if len(self.starts) == 1:
                raise ValueError("at first")

        @self.queue.task(name="on_time.postpone_at_first")
        def postpone_at_first(whole_queue: bool) -> None:
            self.starts.append(time.monotonic())
            if len(self.starts) == 1:
                raise RetryLater(0.1, whole_queue=whole_queue)

        @self.queue.task(name="on_time.hold", atomic=True)
        def hold() -> None:
            time.sleep(0.2)
            self.starts.append(time.monotonic())

        self.note, self.fail_at_first, self.postpone_at_first, self.hold = note, fail_at_first, postpone_at_first, hold

    def number(self) -> int:
        """The next number of the other process's exchanges."""
        self._number += 1
        return self._number

    def claim(self) -> ClaimedJob:
        """A job that the other process has claimed."""
        self.note.enqueue()
        (job,) = self.other.exchange(self.others.id, self.queue.policy, [], 1, number=self.number()).jobs
        return job

    def settle(self, job: ClaimedJob, outcome: Outcome) -> None:
        """Let the other process settle, and claim nothing: it is full, or stops."""
        now = self.other.now()
        settlement = Settlement(job, outcome, now, now)
        answer = self.other.exchange(self.others.id, self.queue.policy, [settlement], 0, number=self.number())
        assert answer.settled[0].counted

    def end(self) -> None:
        self.worker.end()
        self.other.release(self.others, lost=False)
        self.other.close()
        Job.objects.all().delete()
        QueueState.objects.all().delete()

    def lateness(self, act: Callable[[], float | None], count: int = 1) -> float:
        """By how many seconds the last of the starts comes after what made it due; `act` answers when it is due."""
        self.worker.start()
        self.worker.fall_asleep()
        began = time.monotonic()
        due_in = act()
        done = time.monotonic()
        try:
            self.worker.wait_for(lambda: len(self.starts) >= count)
        except AssertionError:
            return NET
        start = self.starts[count - 1]
        # a start can be noted before the call that made it due has returned
        return start - began - due_in if due_in is not None else max(0.0, start - done)


@dataclass(frozen=True)
class Cause:
    """Something that makes a job due: `act` does it, and answers in how many seconds (None: now); after `before`.

    `starts`: which start of the scene is the one that is waited for.
    """

    act: Callable[[Scene], Any]
    before: Callable[[Scene], Any] | None = None
    starts: int = 1
    policy: dict[str, Any] = field(default_factory=dict)


def in_transaction(act: Callable[[], Any]) -> None:
    with transaction.atomic():
        act()


def _succeed_a_cancelled_holder(scene: Scene) -> None:
    scene.before.cancel()
    assert scene.note.using(key="k").enqueue().created


def _relay(scene: Scene) -> None:
    with transaction.atomic():
        job = scene.note.using(key="k").enqueue()
        connections["default"].run_on_commit.clear()
    push_pending([job.id])


def _own(enqueue: Callable[[Scene], Any]) -> Callable[[Scene], float]:
    """A job of this worker that comes back in a tenth of a second."""

    def act(scene: Scene) -> float:
        began = time.monotonic()
        enqueue(scene)
        scene.worker.wait_for(lambda: scene.starts)
        return scene.starts[0] - began + 0.1

    return act


def _elsewhere(outcome: Outcome, due_in: float | None = None) -> Cause:
    """Another process lets go of a job that it has claimed, and takes none itself: it is full, or stops."""

    def act(scene: Scene) -> float | None:
        scene.settle(scene.before, outcome)
        return due_in

    return Cause(act, Scene.claim)


def _end_lease(scene: Scene) -> None:
    scene.other.renew([scene.others.id], -1)
    scene.other.reap(["on_time"])


def _end_lease_at_last(scene: Scene) -> None:
    Job.objects.filter(id=scene.before.id).update(lost=4)
    _end_lease(scene)


def _dead_letter(scene: Scene) -> UUID:
    job = scene.claim()
    scene.settle(job, Failed("broken"))
    live.hear(["on_time"])
    return job.id


def _far(scene: Scene) -> UUID:
    return scene.note.using(delay=60).enqueue().id


def _pause(scene: Scene) -> None:
    scene.other.pause("on_time")
    scene.note.enqueue()


def _take_the_only_slot(scene: Scene) -> ClaimedJob:
    """The only slot of all machines is the other process's, and a job waits for it."""
    job = scene.claim()
    scene.note.enqueue()
    return job


def _free(outcome: Outcome) -> Cause:
    act = partial(_settle_before, outcome=outcome)
    return Cause(act, _take_the_only_slot, policy={"global_concurrency": 1})


def _settle_before(scene: Scene, outcome: Outcome) -> None:
    scene.settle(scene.before, outcome)


def _free_by_an_atomic_job(scene: Scene) -> float:
    began = time.monotonic()
    scene.hold.enqueue()
    scene.worker.wait_for(lambda: scene.worker.consumer.pool.held)
    scene.note.enqueue()
    scene.worker.wait_for(lambda: scene.starts)
    return scene.starts[0] - began


def _free_by_an_atomic_job_elsewhere(scene: Scene) -> None:
    now = scene.other.now()
    with transaction.atomic():
        settlement = Settlement(scene.before, Completed(), now, now)
        assert scene.other.settle_in_transaction(scene.others.id, scene.queue.policy, settlement).counted


def _use_up_the_pace(scene: Scene) -> float:
    at = time.monotonic()
    scene.settle(scene.claim(), Completed())
    return at


def _wait_for_the_pace(scene: Scene) -> float:
    began = time.monotonic()
    scene.note.enqueue()
    return max(0.0, scene.before + 0.3 + PACE_GUARD - began)


ONE = {"global_concurrency": 1}
CAUSES = {
    "enqueue": Cause(lambda scene: scene.note.enqueue() and None),
    "enqueue many": Cause(lambda scene: scene.note.enqueue_many([()]) and None),
    "enqueue with a short delay": Cause(lambda scene: scene.note.using(delay=0.2).enqueue() and 0.2),
    "enqueue in a transaction": Cause(lambda scene: in_transaction(scene.note.enqueue)),
    "enqueue with a key in a transaction": Cause(lambda scene: in_transaction(scene.note.using(key="k").enqueue)),
    "cancel of a key's holder": Cause(
        _succeed_a_cancelled_holder, lambda scene: scene.note.using(key="k", delay=60).enqueue()
    ),
    "relay": Cause(_relay),
    "retry": Cause(_own(lambda scene: scene.fail_at_first.enqueue()), starts=2),
    "RetryLater": Cause(_own(lambda scene: scene.postpone_at_first.enqueue(False)), starts=2),
    "RetryLater of the whole queue": Cause(_own(lambda scene: scene.postpone_at_first.enqueue(True)), starts=2),
    "hand-back elsewhere": _elsewhere(HandedBack("stops")),
    "hand-back with a delay elsewhere": _elsewhere(HandedBack("unknown", delay=0.1), 0.1),
    "retry elsewhere": _elsewhere(Retried(0.1, "error"), 0.1),
    "RetryLater elsewhere": _elsewhere(Postponed(0.1, "later"), 0.1),
    "RetryLater of the whole queue elsewhere": _elsewhere(Postponed(0.1, "later", whole_queue=True), 0.1),
    "release": Cause(lambda scene: scene.other.release(scene.others, lost=False) and None, Scene.claim),
    "release of a lost one": Cause(lambda scene: scene.other.release(scene.others, lost=True) and None, Scene.claim),
    "reap": Cause(_end_lease, Scene.claim),
    "retry of a dead letter": Cause(lambda scene: retry(scene.before), _dead_letter),
    "promote": Cause(lambda scene: promote(scene.before), _far),
    "promote in a transaction": Cause(lambda scene: in_transaction(lambda: promote(scene.before)), _far),
    "resume": Cause(lambda scene: resume("on_time"), _pause),
    "resume in a transaction": Cause(lambda scene: in_transaction(lambda: resume("on_time")), _pause),
    "slot freed by completion elsewhere": _free(Completed()),
    "slot freed by a dead letter elsewhere": _free(Failed("broken")),
    "slot freed by giving up elsewhere": _free(GivenUp("agreed")),
    "slot freed by a last loss": Cause(_end_lease_at_last, _take_the_only_slot, policy=ONE),
    "slot freed by an atomic job": Cause(_free_by_an_atomic_job, starts=2, policy=ONE),
    "slot freed by an atomic job elsewhere": Cause(_free_by_an_atomic_job_elsewhere, _take_the_only_slot, policy=ONE),
    "pace": Cause(_wait_for_the_pace, _use_up_the_pace, policy={"rate_limit": RateLimit(1, per=0.3)}),
}


def lateness(cause: Cause, make_broker: Callable[[], Broker]) -> float:
    """In the best of ten scenes, since another process may have the processor; of a lost hint, one is enough."""
    late = NET
    for _attempt in range(10):
        late = min(late, _lateness_once(cause, make_broker))
        if late < BOUND or late >= LOST:
            break
    return late


def _lateness_once(cause: Cause, make_broker: Callable[[], Broker]) -> float:
    scene = Scene(make_broker, **cause.policy)
    try:
        scene.before = cause.before(scene) if cause.before else None
        return scene.lateness(lambda: cause.act(scene), cause.starts)
    finally:
        scene.end()


def test_whatever_makes_a_job_due_it_starts_in_time(each_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "HINTED_WAIT", NET)
    monkeypatch.setattr(hints, "LISTEN", 0.02)
    late = {}
    for name, cause in CAUSES.items():
        late[name] = lateness(cause, lambda: DatabaseBroker("default"))
        print(f"{name}: {late[name] * 1000:.1f} ms late")
    connections.close_all()
    wrong = {name: f"{seconds:.3f} s" for name, seconds in late.items() if not -0.1 < seconds < BOUND}
    assert not wrong, wrong
