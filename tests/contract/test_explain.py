"""`explain`: in random states, to remove all that it names starts the job, and to leave any of it in place does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from uuid import UUID

import pytest

from jobs.broker.lanes import GroupSettings, lane_of
from jobs.broker.records import GivenUp, NewJob, Postponed, ProcessRecord
from jobs.broker.redis.broker import RedisBroker
from jobs.broker.standing import Found, Hindrance, hindrances
from jobs.policy import Bulk, GroupRules, Limit, QueuePolicy, RateLimit
from tests.contract.conftest import BENCHES, Bench, marked
from tests.contract.hands import LONG, Hands

QUEUE, PER = "lane", 1_000.0
PLENTY = 100_000
WITH_LANES = [name for name in ("bounded", "pooled", "postgresql", "redis", "redis3", "sqlite") if name in BENCHES]


@pytest.fixture(params=marked(WITH_LANES))
def bench(request, transactional_db):
    with BENCHES[request.param]() as standing:
        yield standing


@dataclass
class Scene:
    """A random state of a queue, made of a seed: twice the same."""

    bench: Bench
    seed: int
    policy: QueuePolicy = field(init=False)
    jobs: list[UUID] = field(default_factory=list)
    threads: dict[UUID, int] = field(default_factory=dict)
    held: Counter[UUID] = field(default_factory=Counter)
    settings: dict[str, GroupSettings] = field(default_factory=dict)
    by_job: dict[UUID, NewJob] = field(default_factory=dict)
    runs_alone: tuple[UUID, object] | None = None

    def __post_init__(self) -> None:
        self.bench.clear()
        self.broker, self.random = self.bench.broker, Random(self.seed)
        self.policy = self._policy()
        self.hands = Hands(self.broker, policy=QueuePolicy(QUEUE))
        self.hands.release(self.hands.worker, lost=False)
        self._fill()

    def maybe(self, share: float) -> bool:
        return self.random.random() < share

    def _policy(self) -> QueuePolicy:
        rate = lambda most: RateLimit(self.random.randint(1, most), per=PER)  # noqa: E731
        return QueuePolicy(
            QUEUE,
            rate_limit=rate(4) if self.maybe(0.3) else None,
            global_concurrency=self.random.randint(1, 4) if self.maybe(0.25) else None,
            groups=GroupRules(
                self.random.randint(1, 2) if self.maybe(0.3) else None, rate(2) if self.maybe(0.3) else None
            ),
            limits={"app.limited": (Limit("shared", rate(3)),)},
            breakers={"app.limited": ("provider",)},
        )

    def _fill(self) -> None:
        """Jobs, workers that hold some of them, and what somebody has asked for."""
        names = ["", *"abc"][: self.random.choice([1, 4, 4])]
        jobs = [self._job(names) for _ in range(self.random.randint(4, 14))]
        self.hands.push_all(jobs)
        self.jobs = [job.id for job in jobs]
        self.by_job = {job.id: job for job in jobs}
        self.bench.advance(0.05)  # those that expire at once have
        self.worker(self.random.choice([1, 3, 10]))
        if self.maybe(0.2):
            for _ in range(2):
                lost = self.worker(1)
                self.lose(lost)
            if self.maybe(0.3):
                self.runs_alone = self._claim_alone()
        for _ in range(self.random.choice([0, 0, 1, 3, 5])):
            self._work()
        for name in names[1:]:
            if self.maybe(0.2):
                paused, bound = self.maybe(0.4), self.random.choice([None, 1, 3])
                self.group(name, paused=paused, concurrency=bound)
        if self.maybe(0.2):
            self.policy = replace(self.policy, rooms={"provider": 0})
        if self.maybe(0.2):
            self.broker.pause(QUEUE)
        if self.maybe(0.2):
            self.broker.pause_worker(QUEUE, next(iter(self.threads)), paused=True)
        if self.maybe(0.1):
            for worker in list(self.threads):
                self.hands.release(worker, lost=False)
            self.threads.clear()
            self.held.clear()
            self.runs_alone = None

    def _job(self, names: list[str]) -> NewJob:
        group, task = self.random.choice(names), "app.limited" if self.maybe(0.25) else "app.task"
        return self.hands.new_job(
            group=group,
            task=task,
            lane=lane_of(group, task, ruled=task == "app.limited"),
            priority=self.random.choice([0, 0, 0, 20]),
            delay=self.random.choice([0, 0, 0, 0, PER / 2]),
            expires_in=self.random.choice([None, None, None, None, 0.001]) if self.maybe(0.3) else None,
        )

    def _work(self) -> None:
        if (job := self.start()) is None:
            return
        worker = self.holder
        outcome = self.random.choice([None, None, None, GivenUp("no"), "queue", "group"])
        if outcome is None:
            return  # it runs on
        if isinstance(outcome, str):
            outcome = Postponed(PER / 3, "slow down", whole_queue=outcome == "queue", whole_group=outcome == "group")
        assert self.hands.settle(job, outcome, worker=worker, policy=self.policy)
        self.held[worker] -= 1

    def give_up(self, job) -> None:
        """End a job that was claimed last, without a start."""
        of = {"worker": self.holder, "policy": self.policy}
        assert self.hands.settle(job, GivenUp("out of the way"), started=False, **of)
        self.held[self.holder] -= 1

    def worker(self, threads: int) -> UUID:
        record = replace(self.hands.record(self.hands.new_job().id), concurrency=threads)
        self.broker.register(record, LONG)
        self.threads[record.id] = threads
        return record.id

    def lose(self, worker: UUID) -> None:
        """Let it claim one job and die."""
        job = self._exchange(worker) or self._exchange(worker, alone=True)
        record = ProcessRecord(worker, "worker", QUEUE, "host", 42, 1)
        assert self.broker.release(record, lost=True).jobs == (job is not None)
        del self.threads[worker]

    def group(self, name: str, *, ends_wait: bool = False, **changed: object) -> None:
        self.settings[name] = replace(self.settings.get(name, GroupSettings()), **changed)
        self.broker.set_group(QUEUE, name, self.settings[name], ends_wait=ends_wait)

    # The real claim

    def start(self):
        """The next job that any worker starts that has a thread free; None: nobody starts any."""
        set_threads = self.broker.limits(QUEUE).concurrency
        for worker, threads in self.threads.items():
            is_free = self.held[worker] < (set_threads if isinstance(set_threads, int) else threads)
            if is_free and (job := self._exchange(worker)) is not None:
                self.held[worker] += 1
                self.holder = worker
                return job
        return None

    def start_alone(self):
        """The same of those that must run alone: a process of its own is started for it where the queue is worked."""
        if not self.threads or QUEUE not in self.broker.waits_alone([QUEUE]):
            return None
        claimed = self._claim_alone()
        return claimed and claimed[1]

    def _claim_alone(self):
        record = replace(self.hands.record(self.hands.new_job().id), kind="lone")
        self.broker.register(record, LONG)
        job = self._exchange(record.id, alone=True)
        self.holder = record.id
        return None if job is None else (record.id, job)

    def _exchange(self, worker: UUID, *, alone: bool = False):
        if isinstance(self.broker, RedisBroker):
            # a worker's first claim passes over jobs of limits of which it has reserved no starts yet
            self.broker._shared._short[QUEUE] = ("shared",)
        answer = self.hands.exchange(wanted=1, worker=worker, policy=self.policy, alone=alone)
        return answer.jobs[0] if answer.jobs else None

    # What explain names, and how each is removed

    def explain(self, job: UUID) -> tuple[Found, ...]:
        standing = self.broker.explain(self.policy, job)
        self.alone = standing is not None and standing.alone
        return () if standing is None else hindrances(standing)

    def remove(self, found: Found, job: UUID) -> None:
        group = self.by_job[job].group
        match found.code:
            case Hindrance.PAUSED | Hindrance.TOLD_TO_WAIT:
                self.broker.resume(QUEUE)
            case Hindrance.SCHEDULED:
                assert self.broker.promote(QUEUE, job)
            case Hindrance.GROUP_PAUSED | Hindrance.GROUP_TOLD_TO_WAIT:
                self.group(group, paused=False, ends_wait=True)
            case Hindrance.GROUP_CONCURRENCY:
                self.group(group, concurrency=PLENTY)
            case Hindrance.GROUP_RATE_LIMIT:
                self.group(group, rate_limit=RateLimit(PLENTY, per=PER))
            case Hindrance.RATE_LIMIT:
                self._limits(rate_limit=None)
            case Hindrance.CONCURRENCY:
                self._limits(global_concurrency=None)
            case Hindrance.BUSY:
                self._limits(concurrency=1_000)
            case Hindrance.LIMIT:
                raised = (Limit(found.name, RateLimit(PLENTY, per=PER)),)
                self.policy = replace(self.policy, limits={"app.limited": raised})
            case Hindrance.BREAKER:
                self.policy = replace(self.policy, rooms={})
            case Hindrance.NO_WORKER:
                self.worker(10)
            case Hindrance.WORKERS_PAUSED:
                for worker in self.threads:
                    self.broker.pause_worker(QUEUE, worker, paused=False)
            case Hindrance.ALONE_RUNS:
                worker, claimed = self.runs_alone
                assert self.hands.settle(claimed, worker=worker, policy=self.policy)
            case _:
                raise AssertionError(f"{found.code} has no place in a random state")

    def _limits(self, **changed: object) -> None:
        self.broker.set_limits(QUEUE, replace(self.broker.limits(QUEUE), **changed))

    def next_one(self):
        return self.start_alone() if self.alone else self.start()


def check(bench: Bench, seed: int) -> Counter[Hindrance]:
    """One random state; returns what was named."""
    scene = Scene(bench, seed)
    queued = [i for i, id in enumerate(scene.jobs) if scene.broker.explain(scene.policy, id) is not None]
    if not queued:
        return Counter()
    target = scene.random.choice(queued)
    named = scene.explain(scene.jobs[target])
    if {found.code for found in named} == {Hindrance.EXPIRED}:
        assert all(started.id != scene.jobs[target] for started in iter(scene.start, None))
        return Counter([Hindrance.EXPIRED])
    said = f"seed {seed}: {[(str(found.code), found.number) for found in named]}"
    others = [found for found in named if found.code is not Hindrance.AHEAD]
    ahead = next((found for found in named if found.code is Hindrance.AHEAD), None)

    # all of it: what else there is goes first, then those ahead one by one; an expired one would cost its group a turn
    scene.broker.reap([QUEUE])
    for found in others:
        scene.remove(found, scene.jobs[target])
    before: list[int] = []
    while (job := scene.next_one()) is not None and job.id != scene.jobs[target]:
        before.append(scene.jobs.index(job.id))
        assert scene.hands.settle(
            job, GivenUp("out of the way"), started=False, worker=scene.holder, policy=scene.policy
        )
        scene.held[scene.holder] -= 1
    assert job is not None, f"{said}: it never started, behind {len(before)}"
    assert len(before) == (ahead.number if ahead else 0), said

    # and any proper part of it
    for kept in named:
        scene = Scene(bench, seed)
        again = scene.explain(scene.jobs[target])
        assert [found.code for found in again] == [found.code for found in named], said
        for found in again:
            if found.code is Hindrance.AHEAD and kept.code is not Hindrance.AHEAD:
                ids = [scene.jobs[i] for i in before]
                assert scene.broker.cancel_waiting(QUEUE, ids, "out of the way") == frozenset(ids)
            elif found.code is not Hindrance.AHEAD and found.code is not kept.code:
                scene.remove(found, scene.jobs[target])
        scene.broker.reap([QUEUE])
        job = scene.next_one()
        assert job is None or job.id != scene.jobs[target], f"{said}: started in spite of {kept.code}"
    return Counter(found.code for found in named)


@pytest.mark.parametrize(
    ("first", "number"),
    [
        (0, 15),
        pytest.param(100, 25, marks=pytest.mark.slow),
        pytest.param(1_000, 1_000, marks=[pytest.mark.slow, pytest.mark.long]),
    ],
)
def test_to_remove_all_that_is_named_starts_the_job_and_any_proper_part_does_not(bench, first, number):
    seen: Counter[Hindrance] = Counter()
    for seed in range(first, first + number):
        seen += check(bench, seed)
    print(sorted(seen.items()))


def test_a_paused_tag_and_a_bulk_that_is_to_grow_are_named(bench):
    policy = QueuePolicy(QUEUE, bulks={"app.bulk": Bulk(4, least=2, wait=50)})
    hands, broker = Hands(bench.broker, policy=policy), bench.broker

    def named(job):
        standing = broker.explain(policy, job.id)
        return [(found.code, found.number, found.of) for found in hindrances(standing)]

    tagged, plain = hands.new_job(tags=("slow",)), hands.new_job()
    hands.push_all([tagged])
    broker.pause_tag(QUEUE, "slow", paused=True)
    assert named(tagged) == [(Hindrance.TAG_PAUSED, None, None)]
    assert hands.claim() == []
    hands.push_all([plain])
    # it stands aside by now
    assert (named(tagged), named(plain)) == ([(Hindrance.TAG_PAUSED, None, None)], [])
    broker.pause_tag(QUEUE, "slow", paused=False)
    assert named(plain) == [(Hindrance.AHEAD, 1, None)]
    assert hands.claim_ids() == [tagged.id, plain.id]

    first, second = (hands.new_job(task="app.bulk", lane=lane_of("", "app.bulk", ruled=True)) for _ in range(2))
    hands.push_all([first])
    assert named(first) == [(Hindrance.BULK, 1, 2)]
    assert hands.claim() == []
    hands.push_all([second])
    assert (named(first), named(second)) == ([], [])
    assert hands.claim_ids(1) == [first.id, second.id]


def test_the_place_is_exact_up_to_a_thousand_and_more_than_that_above(bench):
    hands = Hands(bench.broker)
    jobs = [hands.new_job(group=group, lane=group) for _ in range(510) for group in "ab"]
    hands.push_all(jobs[:1_000])
    hands.push_all(jobs[1_000:])

    def place(index):
        standing = bench.broker.explain(hands.policy, jobs[index].id)
        return standing.ahead, standing.is_more

    # a's turn comes first: as many of each are before it
    assert [place(0), place(1), place(998), place(1_000)] == [(0, False), (1, False), (998, False), (1_000, False)]
    assert place(1_002) == (1_000, True)
