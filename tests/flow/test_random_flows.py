"""Random flows and batches, with workers and keepers that die at any point: who waits is let go once, counts are exact.

What a flow must come to does not hang on the order in which its jobs run; so the model says it when all is over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from jobs import Batch, BatchCounts, Fixed, JobHandle, PermanentError, Queue, clock, current_job, retry
from jobs.broker.records import ClaimedJob, ProcessRecord
from jobs.errors import Refused
from jobs.history import batches
from jobs.work.execution import execute

from .conftest import Flow

NAMES = ("random_flow_a", "random_flow_b")
LANES = [Queue(name, attempts=1, backoff=Fixed(0)) for name in NAMES]
RULES = ("fail", "run", "cancel")
#: Where a worker or a keeper dies; on a database the first two lie in the worker's exchange.
POINTS = (
    *("settle.before_commit", "settle.after_commit", "claim.after_commit", "push.before_commit", "push.after_commit"),
    *("unblock.before_commit", "unblock.after_commit", "merge.before_commit", "merge.after_commit"),
)


class Died(BaseException):
    """The process is gone at this point."""


@dataclass
class World:
    """What the tasks do, and what they saw."""

    broken: set[int] = field(default_factory=set)
    starts: Counter[int] = field(default_factory=Counter)
    #: the jobs that a job added to its batch, once however often it was begun
    grown: dict[int, list[JobHandle]] = field(default_factory=dict)
    #: the states of those that a start waited for
    awaited: dict[int, list[str]] = field(default_factory=dict)
    #: by (batch, role): the jobs that followed, and the counts that each read
    told: dict[tuple[UUID, str], dict[UUID, BatchCounts]] = field(default_factory=dict)
    dies_at: str = ""
    #: how often a worker died with a job that had run
    deaths: int = 0


world = World()


def strike(point: str) -> None:
    """The settings name this one: see `jobs.faults`."""
    if point == world.dies_at:
        world.dies_at = ""
        world.deaths += 1
        raise Died(point)


def work(number: int, children: list[int] | None = None) -> None:
    with nobody_dies():
        world.starts[number] += 1
        world.awaited[number] = [one.state for one in current_job().after]
        if number in world.broken:
            raise PermanentError(f"{number} is broken")
        if children and number not in world.grown:
            batch = current_job().batch
            assert batch is not None
            world.grown[number] = []
            with suppress(Refused):  # the batch was cancelled meanwhile
                world.grown[number] += [batch.add(works[0].bind(child)) for child in children]


def tell(role: str) -> None:
    with nobody_dies():
        batch = current_job().batch
        assert batch is not None
        world.told.setdefault((batch.id, role), {})[current_job().id] = batch.counts


@contextmanager
def nobody_dies() -> Iterator[None]:
    """In a task an exception is no death, but its failure."""
    dies_at, world.dies_at = world.dies_at, ""
    yield
    world.dies_at = dies_at


works = [lane.task(name=f"{lane.name}.work")(work) for lane in LANES]
tells = LANES[1].task(name="random_flow.tell")(tell)


@dataclass(eq=False)
class Node:
    """A job of the model."""

    number: int
    job: JobHandle
    parents: list[Node]
    rule: str
    breaks: bool
    cancelled: bool = False
    #: it was to stop while it ran, and does not look; but it starts no second time
    asked: bool = False
    children: list[int] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    """One life: what is enqueued, what runs, who dies; and at its end what must have come of it."""

    flow: Flow

    def __init__(self) -> None:
        super().__init__()
        vars(world).update(vars(World()))
        self.flow.bench.clear()
        self.flow._workers.clear()
        self.nodes: list[Node] = []
        self.batches: list[tuple[Batch, list[Node]]] = []
        self.held: list[tuple[Queue, ProcessRecord, ClaimedJob]] = []

    # what a caller does

    @rule(
        lane=st.sampled_from([0, 1]),
        named=st.lists(st.integers(0, 50), max_size=3),
        on_failure=st.sampled_from(RULES),
        breaks=st.sampled_from([False, False, True]),
    )
    def enqueue(self, lane: int, named: list[int], on_failure: str, breaks: bool) -> None:
        parents = self._parents(named)
        number = self._number(breaks)
        options = {"after": [one.job for one in parents], "on_failure": on_failure} if parents else {}
        job = works[lane].using(**options).enqueue(number)
        self.nodes.append(Node(number, job, parents, on_failure, breaks))

    @rule(
        size=st.integers(0, 4),
        named=st.lists(st.integers(0, 50), max_size=2),
        on_failure=st.sampled_from(RULES),
        breaks=st.sampled_from([False, False, True]),
        children=st.integers(0, 2),
    )
    def enqueue_batch(self, size: int, named: list[int], on_failure: str, breaks: bool, children: int) -> None:
        """Its first job may add others, its second may fail, and its last waits for jobs outside."""
        parents, made = self._parents(named), []
        with Batch(**{f"on_{role}": tells.bind(role) for role in ("complete", "success", "failure")}) as batch:
            for at in range(size):
                mine = parents if at == size - 1 else []
                number = self._number(breaks and at == 1)
                grows = [self._number(False) for _ in range(children)] if at == 0 else []
                options = {"after": [one.job for one in mine], "on_failure": on_failure} if mine else {}
                job = batch.add(works[at % 2].using(**options).bind(number, grows))
                made.append(Node(number, job, mine, on_failure, breaks and at == 1, children=grows))
        self.nodes += made
        self.batches.append((batch, made))

    @precondition(lambda self: self.nodes)
    @rule(at=st.integers(0, 50))
    def cancel(self, at: int) -> None:
        node = self.nodes[at % len(self.nodes)]
        # of a dead letter that would be its discard
        answer = "" if self.flow.row(node.job).state == "failed" else node.job.cancel()
        node.cancelled |= answer == "cancelled"
        node.asked |= answer == "asked"

    @precondition(lambda self: self.batches)
    @rule(at=st.integers(0, 50), really=st.sampled_from([False, False, True]))
    def cancel_batch(self, at: int, really: bool) -> None:
        if not really:
            return
        batch, made = self.batches[at % len(self.batches)]
        known = {node.job.id: node for node in made}
        before = {id: self.flow.row(id).state for id in known}
        batch.cancel()
        for id, state in before.items():
            known[id].cancelled |= self.flow.row(id).state == "cancelled" != state
            known[id].asked |= state == "active"

    # what workers and keepers do

    @rule(lane=st.sampled_from(LANES), times=st.integers(1, 4), dies_at=st.sampled_from(["", *POINTS]))
    def run(self, lane: Queue, times: int, dies_at: str) -> None:
        """A worker runs some jobs; one that dies in an exchange is asked again by who restarts it."""
        world.dies_at = dies_at
        for _ in range(times):
            self._survive(lambda: self.flow.step(lane), lane)
        world.dies_at = ""

    @rule(dies_at=st.sampled_from(["", *POINTS]))
    def keep(self, dies_at: str) -> None:
        world.dies_at = dies_at
        self._survive(self.flow.keep)
        world.dies_at = ""

    @rule(lane=st.sampled_from(LANES))
    def claim_and_hold(self, lane: Queue) -> None:
        worker = ProcessRecord(clock.new_id(), "worker", lane.name, "here", 1, 1)
        self.flow.bench.broker.register(worker, 600)
        claimed = self.flow.bench.broker.exchange(worker.id, lane.policy, [], 1, number=1).jobs
        self.held += [(lane, worker, job) for job in claimed]

    @precondition(lambda self: self.held)
    @rule(dies=st.booleans(), lost=st.booleans())
    def end_what_is_held(self, dies: bool, lost: bool) -> None:
        lane, worker, job = self.held.pop(0)
        broker = self.flow.bench.broker
        # lost twice it would have to run alone
        if dies:
            broker.release(worker, lost=lost and job.lost == 0)
            for node in self.nodes:
                node.cancelled |= node.asked and node.job.id == job.id
            return
        settlement = execute(job, lane, worker.id)
        if settlement is not None:
            assert broker.exchange(worker.id, lane.policy, [settlement], 0, number=2).settled[0].counted

    def teardown(self) -> None:
        world.dies_at = ""
        while self.held:
            self.end_what_is_held(False, False)
        self._finish()
        self._check()
        # everybody is mended, and who failed is retried: what had ended well runs no second time
        world.broken.clear()
        before = Counter(world.starts)
        failed = [node for node in self.nodes if self._expected(node) == "failed"]
        for node in failed:
            if self.flow.row(node.job).state == "failed":
                retry(node.job)
        self._finish()
        assert {self.flow.row(node.job).state for node in failed} <= {"completed"}
        assert world.starts - before == Counter(node.number for node in failed)
        for batch, made in self.batches:
            if all(node not in failed and self._expected(node) == "completed" for node in made):
                continue
            roles = ["complete", "failure"]
            if all(self._expected(node) in ("completed", "failed") for node in made):
                roles.append("success")
            self._check_followers(batch, roles)

    # the model

    def _check(self) -> None:
        for batch, made in self.batches:
            self._add_what_it_added(batch, made)
        expected = {node.number: self._expected(node) for node in self.nodes}
        assert {node.number: self.flow.row(node.job).state for node in self.nodes} == expected
        runs = [node for node in self.nodes if self._has_run(node)]
        # who died with a job that had run gave it back, and then it may have been cancelled
        assert world.starts >= Counter(node.number for node in runs)
        assert world.starts.total() - len(runs) <= world.deaths
        for node in runs:
            assert world.awaited[node.number] == [expected[one.number] for one in node.parents]
        for batch, made in self.batches:
            states = Counter(expected[node.number] for node in made)
            counts = BatchCounts(len(made), **{state: states[state] for state in ("completed", "failed", "cancelled")})
            assert batch.counts == counts
            self._check_followers(batch, ["complete", "success" if counts.completed == len(made) else "failure"])
            assert list(world.told[batch.id, "complete"].values()) == [counts]

    def _add_what_it_added(self, batch: Batch, made: list[Node]) -> None:
        for node in list(made):
            for number, job in zip(node.children, world.grown.get(node.number, []), strict=False):
                cancelled = batch.cancelled and self.flow.row(job).state == "cancelled"
                made.append(Node(number, job, [], "fail", False, cancelled))
                self.nodes.append(made[-1])

    def _check_followers(self, batch: Batch, roles: list[str]) -> None:
        assert {role: len(told) for (id, role), told in world.told.items() if id == batch.id} == dict.fromkeys(roles, 1)
        assert set(batches.followers(batch.id)) == {"complete", "success", "failure"}

    def _expected(self, node: Node) -> str:
        if node.cancelled:
            return "cancelled"
        well = all(self._expected(one) == "completed" for one in node.parents)
        if not well and node.rule != "run":
            return "failed" if node.rule == "fail" else "cancelled"
        return "failed" if node.breaks else "completed"

    def _has_run(self, node: Node) -> bool:
        well = all(self._expected(one) == "completed" for one in node.parents)
        return not node.cancelled and (well or node.rule == "run")

    def _parents(self, named: list[int]) -> list[Node]:
        found = [self.nodes[at % len(self.nodes)] for at in named] if self.nodes else []
        return [one for at, one in enumerate(found) if one not in found[:at]]

    def _number(self, breaks: bool) -> int:
        self.last = getattr(self, "last", 0) + 1
        if breaks:
            world.broken.add(self.last)
        return self.last

    def _survive(self, act: Callable[[], Any], lane: Queue | None = None) -> None:
        try:
            act()
        except Died:
            if lane is not None:
                # its jobs come back, as its supervisor tells of it
                worker = self.flow._workers.pop(lane.name)
                self.flow.bench.broker.release(ProcessRecord(worker, "worker", lane.name, "here", 1, 1), lost=False)

    def _finish(self) -> None:
        while any([*self.flow.work(LANES[0]), *self.flow.work(LANES[1])]):
            pass


@pytest.mark.parametrize("lives", [8, pytest.param(150, marks=[pytest.mark.slow, pytest.mark.long])])
def test_what_becomes_of_random_flows_is_what_their_rules_say(flow: Flow, lives: int, settings: Any) -> None:
    settings.JOBS = {**settings.JOBS, "FAULT_POINTS": f"{__name__}.strike"}
    machine = type("Lives", (Machine,), {"flow": flow})
    run_state_machine_as_test(machine, settings=_settings(lives))


def _settings(lives: int) -> settings:
    return settings(
        max_examples=lives,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
