"""Random operations on a broker and on a model in memory: they must agree on every answer, order and state."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from jobs.broker.changes import Change
from jobs.broker.records import Completed, Failed, GivenUp, HandedBack, Postponed, Retried
from tests.contract.hands import QUEUES, Hands
from tests.contract.model import Model

#: Times are such that no two of them meet: the broker's clock really runs meanwhile, by seconds on a busy machine.
LEASE, STEP, SHORT, LONG = 330, 100, 50, 150
DELAYS = st.sampled_from([0, 0, 0, SHORT, LONG])
TAGS = st.sampled_from([(), (), (), ("x",), ("y",), ("x", "y")])
PRIORITIES, KEYS = st.sampled_from([0, 0, 0, 80, -100, 7]), st.sampled_from([None, None, None, "a", "b"])
#: Drawn more often than not, so that a machine's life is mostly work and only now and then trouble.
SELDOM = st.sampled_from([False, False, False, False, True])
#: outcome -> (state it asks for, attempts burnt, delay)
OUTCOMES = {
    Completed("1"): ("completed", 1, None),
    Retried(0, "broken"): ("queued", 1, 0),
    Retried(LONG, "broken"): ("queued", 1, LONG),
    Postponed(SHORT, "busy"): ("queued", 0, SHORT),
    HandedBack("stopping"): ("queued", 0, None),
    HandedBack("unknown", delay=SHORT, unknown=True): ("queued", 0, SHORT),
    Failed("broken"): ("failed", 1, None),
    Failed("unknown", attempted=False): ("failed", 0, None),
    GivenUp("no need"): ("cancelled", 0, None),
}


@pytest.mark.parametrize("lives", [12, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.long])])
def test_broker_and_model_agree(bench, lives):
    class Machine(RuleBasedStateMachine):
        jobs = Bundle("jobs")
        workers = Bundle("workers")
        claims = Bundle("claims")

        def __init__(self):
            super().__init__()
            bench.clear()
            self.broker = bench.broker
            self.hands = Hands(self.broker, lease=LEASE)
            self.hands.release(self.hands.worker, lost=False)
            self.model = Model()

        @initialize(target=workers)
        def first_worker(self):
            return self.register()

        @rule(target=workers)
        def register(self):
            worker = self.hands.new_worker()
            self.model.leases[worker] = self.model.time + LEASE
            return worker

        @rule(target=jobs, wishes=st.lists(st.tuples(PRIORITIES, DELAYS, KEYS, TAGS), min_size=1, max_size=4))
        def push(self, wishes):
            names = ("priority", "delay", "key", "tags")
            jobs = [self.hands.new_job(**dict(zip(names, wish, strict=True))) for wish in wishes]
            return multiple(*(self._push(job) for job in jobs))

        @rule(job=jobs, run=st.integers(1, 3), delay=DELAYS)
        def push_again(self, job, run, delay):
            self._push(self.hands.new_job(id=job.id, run=run, key=job.key, delay=delay, tags=job.tags))

        def _push(self, job):
            answer = self.hands.push_all([job])[0]
            expected = self.model.push(job.id, job.run, job.priority, job.delay, job.key, job.tags)
            assert (answer.status, answer.holder) == expected
            return job

        @rule(target=claims, worker=workers, wanted=st.integers(1, 4), alone=SELDOM)
        def claim(self, worker, wanted, alone):
            return multiple(*self._claim(worker, wanted, alone))

        @rule(claim=consumes(claims), outcome=st.sampled_from(list(OUTCOMES)))
        def settle(self, claim, outcome):
            worker, job, number = claim
            expected = self.model.settle(job.id, number, *OUTCOMES[outcome])
            assert self.hands.settle(job, outcome, worker=worker) is expected

        @rule(claim=claims, outcome=st.sampled_from(list(OUTCOMES)))
        def settle_and_remember(self, claim, outcome):
            self.settle(claim, outcome)

        @rule(claim=claims)
        def holds(self, claim):
            _, job, number = claim
            model = self.model.jobs[job.id]
            assert self.broker.holds("lane", job.id, job.token) is (model.state == "active" and model.claims == number)

        @rule(worker=workers)
        def renew(self, worker):
            known = {worker} & set(self.model.leases)
            if known:
                self.model.leases[worker] = self.model.time + LEASE
            asked = {j.id for j in self.model.jobs.values() if j.state == "active" and j.worker == worker and j.asked}
            renewal = self.broker.renew([worker], LEASE)
            assert (renewal.alive, renewal.cancel_requested) == (known, asked)

        @rule(worker=workers, lost=st.booleans())
        def release(self, worker, lost):
            assert self.hands.release(worker, lost=lost) == self.model.release(worker, lost)

        @rule()
        def reap(self):
            assert self.broker.reap(QUEUES).lost == self.model.reap()

        @rule(job=jobs)
        def cancel(self, job):
            if job.id in self.model.jobs:
                assert self.broker.cancel("lane", job.id, "not wanted") == self.model.cancel(job.id)
            else:
                assert self.broker.cancel("lane", job.id, "not wanted") is None

        @rule(job=jobs)
        def promote(self, job):
            expected = job.id in self.model.jobs and self.model.promote(job.id)
            assert self.broker.promote("lane", job.id) is expected

        @rule(job=jobs, delay=st.none() | DELAYS, priority=st.none() | PRIORITIES)
        def change(self, job, delay, priority):
            answer = self.broker.change("lane", job.id, Change(delay=delay, priority=priority))
            assert answer == self.model.change(job.id, delay, priority)

        @rule(paused=SELDOM)
        def pause(self, paused):
            (self.broker.pause if paused else self.broker.resume)("lane")
            self.model.paused = paused

        @rule(tag=st.sampled_from(["x", "y"]), paused=st.booleans())
        def pause_tag(self, tag, paused):
            self.broker.pause_tag("lane", tag, paused=paused)
            (self.model.paused_tags.add if paused else self.model.paused_tags.discard)(tag)

        @rule(steps=st.integers(1, 3), silent=SELDOM)
        def advance(self, steps, silent):
            bench.advance(STEP * steps)
            self.model.time += STEP * steps
            for worker in [] if silent else list(self.model.leases):
                self.renew(worker)

        @rule(worker=workers, outcome=st.sampled_from([*OUTCOMES, None]))
        def live_through_one_job(self, worker, outcome):
            """Claim one job and settle it at once, or (None) die of it and be replaced."""
            for alone in (False, True):
                for job in self.hands.claim(1, worker=worker, alone=alone):
                    assert [job.id] == self.model.claim(worker, 1, alone)
                    model = self.model.jobs[job.id]
                    assert (job.run, job.attempts, job.lost) == (model.run, model.attempts, model.lost)
                    if outcome is None:
                        self.release(worker, True)
                        self.hands.broker.register(self.hands.record(worker), LEASE)
                        self.model.leases[worker] = self.model.time + LEASE
                    else:
                        self.settle((worker, job, model.claims), outcome)
                        # an old token must find nothing, also when the job is claimed again
                        self.settle((worker, job, model.claims), outcome)

        @rule(worker=workers, alone=st.booleans())
        def show_the_whole_order(self, worker, alone):
            """Claim all that is due, and hand it back in its places."""
            for claim in self._claim(worker, 50, alone):
                self.settle(claim, HandedBack("stopping"))

        @rule(worker=workers, times=st.integers(1, 3), lost=st.booleans())
        def die_with_jobs(self, worker, times, lost):
            """Claim, let others come meanwhile, die, be replaced; often enough, and the jobs must run alone."""
            for _ in range(times):
                self._claim(worker, 2, True) or self._claim(worker, 2, False)
                self._push(self.hands.new_job())
                self.release(worker, lost)
                self.hands.broker.register(self.hands.record(worker), LEASE)
                self.model.leases[worker] = self.model.time + LEASE

        @rule(worker=workers, outcome=st.sampled_from(list(OUTCOMES)))
        def settle_with_an_old_token(self, worker, outcome):
            """Claim, hand back, claim again in the same process, and only then hear of the first claim's end."""
            old = self._claim(worker, 1, False)
            for claim in old:
                self.settle(claim, HandedBack("stopping"))
            new = self._claim(worker, 1, False)
            for claim in old:
                self.holds(claim)
                for late in OUTCOMES:
                    self.settle(claim, late)
            for claim in new:
                self.holds(claim)
                self.settle(claim, outcome)

        @rule(worker=workers, alone=st.booleans(), asked=st.booleans())
        def fail_and_retry(self, worker, alone, asked):
            """Let a job become a dead letter and begin its next run."""
            for claim in self._claim(worker, 1, alone):
                job = claim[1]
                if asked:
                    self.cancel(job)
                self.settle(claim, Failed("broken"))
                self._push(self.hands.new_job(id=job.id, run=job.run + 1, key=job.key, tags=job.tags))

        def _claim(self, worker, wanted, alone):
            claimed = self.hands.claim(wanted, worker=worker, alone=alone)
            assert [job.id for job in claimed] == self.model.claim(worker, wanted, alone)
            held = [self.model.jobs[job.id] for job in claimed]
            assert [(job.run, job.attempts, job.starts, job.lost) for job in claimed] == [
                (job.run, job.attempts, job.starts, job.lost) for job in held
            ]
            return [(worker, job, model.claims) for job, model in zip(claimed, held, strict=True)]

        @invariant()
        def numbers_agree(self):
            jobs, time = self.model.jobs.values(), self.model.time
            counts = self.broker.counts("lane")
            queued = [job.ready[0] <= time for job in jobs if job.state == "queued"]
            assert (counts.waiting, counts.scheduled) == (queued.count(True), queued.count(False))
            assert counts.active == sum(job.state == "active" for job in jobs)
            assert (counts.paused, counts.paused_tags) == (self.model.paused, tuple(sorted(self.model.paused_tags)))

        def teardown(self):
            for job in self.model.jobs.values():
                record = bench.record(job.id)
                assert (record.state, record.run) == (job.state, job.run)
                assert (record.attempts, record.starts, record.lost) == (job.attempts, job.starts, job.lost)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=False,
            print_blob=True,
        ),
    )
