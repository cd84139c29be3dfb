"""Groups: each gets its turn, and keeps to its own rules."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise
from random import Random

import pytest

from jobs.broker.changes import Change
from jobs.broker.contract import PACE_GUARD
from jobs.broker.lanes import GroupSettings, lane_of
from jobs.broker.records import Failed, HandedBack, KeyMode, KeyRule, Postponed, Retried
from jobs.models import Grant, GroupState, QueueState
from jobs.policy import GroupRules, QueuePolicy, RateLimit
from tests.contract.conftest import BENCHES, marked
from tests.contract.hands import Hands

#: The brokers that know groups.
WITH_GROUPS = [name for name in ("bounded", "pooled", "postgresql", "redis", "redis3", "sqlite") if name in BENCHES]

PLAIN = QueuePolicy("lane")
ONE_EACH = QueuePolicy("lane", groups=GroupRules(concurrency=1))
TWO_EACH = QueuePolicy("lane", groups=GroupRules(concurrency=2))
PACED = QueuePolicy("lane", groups=GroupRules(rate_limit=RateLimit(2, per=10)))


@pytest.fixture(params=marked(WITH_GROUPS))
def bench(request, transactional_db):
    with BENCHES[request.param]() as standing:
        yield standing


class InGroups(Hands):
    """The same hands, for jobs with a group."""

    def new_job(self, group="", **options):
        task = options.get("task", "app.task")
        return super().new_job(group=group, lane=lane_of(group, task), **options)

    def push_each(self, groups, **options):
        jobs = [self.new_job(group, **options) for group in groups]
        self.push_all(jobs)
        return [job.id for job in jobs]

    def groups_of(self, wanted=1, **options):
        """The groups of the next jobs, claimed at once."""
        return "".join(job.group or "-" for job in self.claim(wanted, **options))

    def turns(self, number, **options):
        """The groups of the next jobs, claimed one by one and completed at once."""
        found = ""
        for _ in range(number):
            jobs = self.claim(1, **options)
            if not jobs:
                break
            found += jobs[0].group or "-"
            assert self.settle(jobs[0])
        return found


@pytest.fixture
def hands(bench):
    return InGroups(bench.broker)


# Turns


def test_groups_take_turns(hands):
    hands.push_each("aaaabbc")
    assert hands.turns(7) == "abcabaa"


def test_a_claim_of_several_takes_one_of_each_group_and_goes_round(hands):
    hands.push_each("aaaabbc")
    assert hands.groups_of(5) == "abcab"
    assert hands.groups_of(5) == "aa"


def test_turns_go_on_from_one_claim_to_the_next(hands):
    hands.push_each("aaabbbccc")
    assert hands.groups_of(2) == "ab"
    assert hands.groups_of(2, worker=hands.new_worker()) == "ca"
    assert hands.groups_of(5) == "bcabc"


def test_a_flood_of_one_group_delays_another_by_one_turn_at_most(hands):
    hands.push_each("a" * 1_000)
    hands.push_each("b")
    assert "b" in hands.turns(2)


def test_a_flood_delays_nobody_where_several_are_claimed_at_once(hands):
    hands.push_each("a" * 300)
    hands.claim(7)
    hands.push_each("bcdefg")
    assert sorted(hands.groups_of(7)) == list("abcdefg")
    assert hands.groups_of(3) == "aaa"


def test_many_groups_take_turns_like_few(hands):
    names = [f"{number:03}" for number in range(150)]
    jobs = [hands.new_job(name) for name in [*names, *names, *names]]
    hands.push_all(jobs)
    served = []
    for wanted in (1, 10, 50, 100, 64, 200, 100):
        served += [job.group for job in hands.claim(wanted)]
    assert served == [*names, *names, *names]


def test_hundreds_of_groups_with_jobs_to_come_hide_nobody(hands, bench):
    hands.push_all([hands.new_job(f"g{number:03}", delay=50 if number == 300 else 500) for number in range(600)])
    hands.push_each(["flood"] * 150)
    # a whole round without another group: from here on a process may know which there are
    assert hands.groups_of(3) == "flood" * 3
    hands.push_each(["a", "", "g100", "z"])
    assert [job.group for job in hands.claim(6)] == ["g100", "z", "", "a", "flood", "flood"]
    bench.advance(51)
    assert sorted(job.group for job in hands.claim(3)) == ["flood", "flood", "g300"]
    bench.advance(450)
    claimed = [job.group for job in hands.claim(300)]
    assert len(set(claimed)) == 300
    assert len({*claimed, *(job.group for job in hands.claim(400))}) == 600


def test_jobs_without_a_group_are_one_group(hands):
    hands.push_each(["", "", "", "a", "a", "b"])
    assert hands.turns(6) == "-ab-a-"


def test_jobs_without_a_group_take_turns_beside_a_flood(hands):
    hands.push_each("a" * 150)
    hands.push_each(["", ""])
    assert hands.turns(4) == "-a-a"
    hands.push_each([""] * 150)
    assert hands.groups_of(10) == "-a" * 5


def test_priority_comes_before_the_turn(hands):
    hands.push_each("aaa")
    hands.push_each("bb", priority=20)
    hands.push_each("c", priority=-20)
    assert hands.turns(6) == "bbaaac"


def test_each_priority_has_its_own_turn(hands):
    hands.push_each("aabb")
    hands.push_each("aabb", priority=20)
    assert hands.groups_of(1) == "a"
    assert hands.groups_of(7) == "bababab"


def test_within_a_group_the_order_is_that_of_their_ready_time(hands, bench):
    later = hands.push(group="a", delay=5)
    first, second = hands.push(group="a"), hands.push(group="a")
    bench.advance(10)
    last = hands.push(group="a")
    assert hands.claim_ids(2) == [first, second]
    assert hands.claim_ids(2) == [later, last]


def test_a_delayed_job_of_a_group_starts_on_time(hands, bench):
    job_id = hands.push(group="a", delay=30)
    assert hands.exchange().wait == pytest.approx(30, abs=2)
    due = hands.push(group="b")
    exchange = hands.exchange()
    assert [job.id for job in exchange.jobs] == [due]
    assert exchange.wait == pytest.approx(30, abs=2)
    bench.advance(29)
    assert hands.claim_ids() == []
    bench.advance(1)
    assert hands.claim_ids() == [job_id]


def test_a_repeated_exchange_brings_the_same_jobs_in_the_same_order(hands):
    hands.push_each("aaabb")
    first = hands.exchange(wanted=4, number=50)
    assert [job.group for job in first.jobs] == list("abab")
    assert hands.exchange(wanted=4, number=50) == first


def test_names_are_told_apart_byte_by_byte(hands):
    names = ["é", "e", "E", "a b", "a", "a-b", "Ä", "10", "9"]
    hands.push_each(names * 2)
    assert [job.group for job in hands.claim(9)] == sorted(names)
    assert [job.group for job in hands.claim(9)] == sorted(names)


# A group's own rules


def test_a_group_has_no_more_active_jobs_than_its_concurrency_over_all_workers(hands):
    hands.push_each("aaabb")
    jobs = hands.claim(1, policy=ONE_EACH)
    other = hands.new_worker()
    assert hands.groups_of(10, policy=ONE_EACH, worker=other) == "b"
    assert hands.groups_of(10, policy=ONE_EACH) == ""
    assert hands.settle(jobs[0])
    assert hands.groups_of(10, policy=ONE_EACH) == "a"


def test_concurrency_of_a_group_does_not_hold_for_jobs_without_one(hands):
    hands.push_each(["", "", "a", "a"])
    assert hands.groups_of(10, policy=ONE_EACH) == "-a-"


def test_a_claim_of_several_keeps_to_the_concurrency(hands):
    hands.push_each("a" * 130 + "b" * 5)
    assert hands.groups_of(10, policy=TWO_EACH) == "abab"
    assert hands.groups_of(10, policy=TWO_EACH) == ""


def test_a_killed_worker_leaks_no_slot_of_a_group(hands):
    hands.push_each("aa")
    dead = hands.new_worker()
    assert hands.groups_of(10, policy=ONE_EACH, worker=dead) == "a"
    assert hands.groups_of(10, policy=ONE_EACH) == ""
    hands.release(dead, lost=True)
    assert hands.groups_of(10, policy=ONE_EACH) == "a"


def test_a_group_starts_no_more_than_its_rate_in_any_window(hands, bench):
    hands.push_each("a" * 30 + "b" * 30)
    started = {"a": [], "b": []}
    workers = [hands.worker, hands.new_worker()]
    for step in range(60):
        bench.advance(0.7 if step % 3 else 1.9)
        for job in hands.claim(1 + step % 4, policy=PACED, worker=workers[step % 2]):
            started[job.group].append(job.claimed_at)
    for moments in started.values():
        assert len(moments) >= 8
        gaps = [(later - first).total_seconds() for first, later in zip(moments, moments[2:], strict=False)]
        assert min(gaps) > 10


def test_the_answer_says_when_a_group_may_start_something_again(hands, bench):
    hands.push_each("aaab")
    exchange = hands.exchange(policy=PACED)
    assert [job.group for job in exchange.jobs] == list("aba")
    assert exchange.wait == pytest.approx(10, abs=1)
    bench.advance(4)
    wait = hands.exchange(policy=PACED).wait
    assert wait == pytest.approx(6 + PACE_GUARD, abs=1)
    bench.advance(wait + 0.5)
    assert hands.groups_of(10, policy=PACED) == "a"


def test_a_job_of_a_paced_group_must_start_soon(hands):
    hands.push_each("a")
    assert hands.claim_one().start_by is None
    hands.push_each("a")
    assert hands.claim_one(policy=PACED).start_by is not None


@pytest.mark.parametrize("queue_limit", [None, RateLimit(100, per=10)])
def test_a_job_that_comes_back_unstarted_gives_its_slot_of_the_group_back(hands, queue_limit):
    policy = QueuePolicy("lane", rate_limit=queue_limit, groups=PACED.groups)
    hands.push_each("aaaa")
    jobs = hands.claim(10, policy=policy)
    assert len(jobs) == 2
    assert hands.claim(10, policy=policy) == []
    assert hands.settle(jobs[0], HandedBack("too late"), started=False, policy=policy)
    assert hands.groups_of(10, policy=policy) == "a"
    assert hands.settle(jobs[1], HandedBack("interrupted"), policy=policy)
    assert hands.groups_of(10, policy=policy) == ""


def test_the_queues_own_limits_hold_for_all_groups_together(hands):
    hands.push_each("aabbcc")
    assert hands.groups_of(10, policy=QueuePolicy("lane", rate_limit=RateLimit(2, per=10))) == "ab"
    bounded = QueuePolicy("lane", global_concurrency=3)
    assert hands.groups_of(10, policy=bounded) == "c"
    assert hands.groups_of(10, policy=bounded) == ""


def test_a_group_is_told_to_wait_alone(hands, bench):
    hands.push_each("aabb")
    job = hands.claim_one()
    assert job.group == "a"
    assert hands.settle(job, Postponed(20, "slow down", whole_group=True))
    exchange = hands.exchange()
    assert [job.group for job in exchange.jobs] == list("bb")
    assert exchange.wait == pytest.approx(20, abs=2)
    bench.advance(21)
    assert hands.groups_of(10) == "aa"


def test_a_group_waits_as_long_as_the_longest_asks_for(hands, bench):
    hands.push_each("aaa")
    for job, seconds in zip(hands.claim(2), (30, 5), strict=True):
        assert hands.settle(job, Postponed(seconds, "slow down", whole_group=True))
    bench.advance(10)
    assert hands.groups_of(10) == ""
    bench.advance(25)
    assert hands.groups_of(10) == "aaa"


def test_a_job_without_a_group_that_lets_its_group_wait_waits_itself(hands):
    hands.push_each(["", "", "a"])
    job = hands.claim_one()
    assert hands.settle(job, Postponed(20, "slow down", whole_group=True))
    assert sorted(hands.groups_of(10)) == ["-", "a"]


# Settings of one group


def test_the_wait_of_a_group_ends_and_its_settings_stay(hands, broker):
    broker.set_group("lane", "a", GroupSettings(concurrency=1))
    hands.push_each("aa")
    assert hands.settle(hands.claim_one(), Postponed(20, "slow down", whole_group=True))
    broker.set_group("lane", "a", GroupSettings(concurrency=1))
    assert hands.groups_of(10) == ""
    broker.set_group("lane", "a", GroupSettings(concurrency=1), ends_wait=True)
    assert hands.groups_of(10) == "a"
    assert hands.groups_of(10) == ""


def test_a_group_is_paused_before_its_first_job_and_resumed(hands, broker):
    broker.set_group("lane", "a", GroupSettings(paused=True))
    hands.push_each("aab")
    exchange = hands.exchange()
    assert [job.group for job in exchange.jobs] == ["b"]
    assert exchange.wait is None
    broker.set_group("lane", "a", GroupSettings())
    assert hands.groups_of(10) == "aa"


def test_what_is_set_of_a_group_holds_from_the_next_claim_on(hands, broker, bench):
    hands.push_each("a" * 20 + "b" * 20)
    broker.set_group("lane", "a", GroupSettings(concurrency=3))
    assert sorted(hands.groups_of(10, policy=ONE_EACH)) == list("aaab")
    broker.set_group("lane", "a", GroupSettings(concurrency=4))
    assert hands.groups_of(10, policy=ONE_EACH) == "a"
    broker.set_group("lane", "b", GroupSettings(rate_limit=RateLimit(2, per=10)))
    assert hands.groups_of(10, policy=TWO_EACH) == "b"
    bench.advance(1)
    assert hands.groups_of(10, policy=QueuePolicy("lane", groups=GroupRules(concurrency=5))) == "b"


def test_a_group_at_its_rate_lets_no_others_wait(hands, broker):
    broker.set_group("lane", "a", GroupSettings(rate_limit=RateLimit(1, per=100)))
    hands.push_each("a" * 120 + "b" * 5)
    assert hands.groups_of(10) == "abbbbb"
    exchange = hands.exchange()
    assert exchange.jobs == ()
    assert exchange.wait == pytest.approx(100, abs=2)


def test_settings_of_one_queue_do_not_hold_in_another(hands, broker):
    broker.set_group("other", "a", GroupSettings(paused=True))
    hands.push_each("a")
    assert hands.groups_of(10) == "a"


def test_the_groups_are_listed_by_name_with_what_they_hold(hands, broker, bench):
    hands.push_each("cca")
    hands.push_each("c", delay=100, priority=20)
    broker.set_group("lane", "b", GroupSettings(paused=True, concurrency=2, rate_limit=RateLimit(5, per=1.5)))
    job = next(job for job in hands.claim(2) if job.group == "a")
    seen = {one.name: one for one in broker.groups("lane")}
    assert list(seen) == ["a", "b", "c"]
    assert (seen["a"].waiting, seen["a"].scheduled, seen["a"].active) == (0, 0, 1)
    assert (seen["c"].waiting, seen["c"].scheduled, seen["c"].active) == (1, 1, 1)
    assert seen["b"].settings == GroupSettings(paused=True, concurrency=2, rate_limit=RateLimit(5, per=1.5))
    assert [one.name for one in broker.groups("lane", after="a", limit=1)] == ["b"]
    assert hands.settle(job, Postponed(30, "slow down", whole_group=True))
    (first,) = broker.groups("lane", limit=1)
    assert first.name == "a"
    assert (first.blocked_until - broker.now()).total_seconds() == pytest.approx(30, abs=2)
    assert not broker.groups("other")


# What happens to jobs with a group


def test_a_retry_keeps_its_group(hands, broker, bench):
    hands.push_each("aab")
    job = hands.claim_one(policy=ONE_EACH)
    assert hands.settle(job, Retried(5, "again"))
    bench.advance(6)
    assert broker.find("lane", job.id).group == "a"
    assert sorted(hands.groups_of(10, policy=ONE_EACH)) == ["a", "b"]


def test_the_next_run_of_a_dead_letter_keeps_its_group(hands, broker):
    job_id = hands.push(group="a")
    assert hands.settle(hands.claim_one(), Failed("broken"))
    hands.push_each("a")
    hands.push(id=job_id, group="a", run=2)
    assert hands.groups_of(10, policy=ONE_EACH) == "a"


def test_jobs_of_a_group_are_cancelled_promoted_and_moved_like_others(hands, broker, bench):
    first, second, delayed, far = (hands.push(group="a", delay=delay) for delay in (0, 0, 50, 100))
    broker.cancel("lane", first, "not needed")
    assert broker.promote("lane", delayed)
    broker.change("lane", far, Change(priority=20))
    broker.change("lane", second, Change(delay=200))
    assert hands.claim_ids() == [delayed]
    bench.advance(101)
    assert hands.claim_ids() == [far]
    bench.advance(101)
    assert hands.claim_ids() == [second]


def test_keys_hold_over_groups(hands):
    first = hands.push_one(group="a", key="k")
    second = hands.push_one(group="b", key="k")
    assert second.holder == first.id
    assert hands.groups_of(10) == "a"


def test_a_job_that_takes_over_another_call_takes_over_its_group(hands):
    hands.push(group="a", key="k")
    hands.push(group="b", key="k", rule=KeyRule(KeyMode.REPLACE))
    hands.push_each("b")
    assert hands.groups_of(10, policy=ONE_EACH) == "b"


def test_expired_jobs_of_a_group_do_not_start_and_take_no_turn_for_long(hands, bench):
    hands.push_each("aaa", expires_in=5)
    kept = hands.push(group="a")
    other = hands.push(group="b")
    bench.advance(6)
    claimed = {*hands.claim_ids(2), *hands.claim_ids(2)}
    assert claimed == {kept, other}
    assert bench.counters("lane")["expired"] == 3


def test_many_expired_jobs_of_a_group_hold_the_next_one_up_only_for_moments(hands, bench):
    hands.push_each("a" * 20, expires_in=5)
    kept = hands.push(group="a")
    bench.advance(6)
    exchange = hands.exchange(wanted=1)
    for _ in range(20):
        if exchange.jobs:
            break
        assert exchange.wait is not None
        assert exchange.wait < 0.1
        exchange = hands.exchange(wanted=1)
    assert [job.id for job in exchange.jobs] == [kept]


def test_a_job_that_must_run_alone_calls_for_no_process_while_its_group_waits(hands, broker):
    hands.push(group="a")
    hands.lose(2)
    assert broker.waits_alone(["lane"]) == {"lane"}
    broker.set_group("lane", "a", GroupSettings(paused=True))
    assert broker.waits_alone(["lane"]) == frozenset()
    broker.set_group("lane", "a", GroupSettings())
    assert broker.waits_alone(["lane"]) == {"lane"}
    assert hands.settle(hands.claim_one(alone=True), Postponed(20, "slow down", whole_group=True))
    hands.push(group="a", priority=5)
    assert broker.waits_alone(["lane"]) == frozenset()


def test_many_jobs_of_a_paused_group_that_must_run_alone_hide_nobody(hands, broker):
    hands.push_each("a" * 110 + "b")
    for _ in range(2):
        worker = hands.new_worker()
        assert len(hands.claim(200, worker=worker)) == 111
        hands.release(worker, lost=True)
    broker.set_group("lane", "a", GroupSettings(paused=True))
    assert hands.groups_of(1, alone=True) == "b"


def test_a_job_that_must_run_alone_keeps_to_its_groups_rules(hands, broker):
    hands.push(group="a")
    hands.lose(2)
    hands.push_each("a")
    running = hands.claim_one(policy=ONE_EACH)
    alone = hands.new_worker()
    assert hands.groups_of(1, policy=ONE_EACH, worker=alone, alone=True) == ""
    assert hands.settle(running)
    assert hands.groups_of(1, policy=ONE_EACH, worker=alone, alone=True) == "a"
    hands.push_each("a")
    assert hands.groups_of(1, policy=ONE_EACH) == ""


def test_jobs_of_groups_are_counted_with_the_others(hands, broker, bench):
    hands.push_each(["a", "a", "b", ""])
    hands.push(group="a", delay=50)
    bench.advance(3)
    hands.claim(1)
    counts = broker.counts("lane")
    assert (counts.waiting, counts.scheduled, counts.active) == (3, 1, 1)
    assert (broker.now() - counts.oldest_ready_at).total_seconds() == pytest.approx(3, abs=2)


def test_a_paused_queue_starts_nothing_of_its_groups(hands, broker):
    hands.push_each("ab")
    broker.pause("lane")
    assert hands.groups_of(10) == ""
    broker.resume("lane")
    assert hands.groups_of(10) == "ab"


def test_after_the_last_job_of_its_groups_a_queue_is_like_any_other(hands):
    hands.push_each("ab")
    assert hands.turns(2) == "ab"
    first, second = hands.push(), hands.push()
    assert hands.claim_ids(1) == [first]
    assert hands.claim_ids(1) == [second]
    hands.push_each("a")
    assert hands.turns(1) == "a"


# Races


@pytest.mark.parametrize("policy", [ONE_EACH, PACED], ids=["concurrency", "pace"])
def test_workers_that_claim_at_once_never_break_a_groups_rule(hands, bench, policy):
    names = [f"g{number:02}" for number in range(50)]
    hands.push_all([hands.new_job(name) for name in names for _ in range(4)])
    active, broken, done = dict.fromkeys(names, 0), [], count()
    lock, total = threading.Lock(), []

    def work(seed):
        broker, chance = bench.another(), Random(seed)
        mine = InGroups(broker, policy=policy)
        try:
            idle = 0
            while idle < 30:
                jobs = mine.claim(chance.choice((1, 3, 10)))
                with lock:
                    for job in jobs:
                        active[job.group] += 1
                        total.append((job.group, job.claimed_at))
                        if policy is ONE_EACH and active[job.group] > 1:
                            broken.append(job.group)
                idle = 0 if jobs else idle + 1
                with lock:
                    for job in jobs:
                        active[job.group] -= 1
                for job in jobs:
                    assert mine.settle(job)
        finally:
            broker.close()
            next(done)

    with ThreadPoolExecutor(4) as threads:
        for one in [threads.submit(work, seed) for seed in range(4)]:
            one.result(timeout=120)
    assert broken == []
    if policy is ONE_EACH:
        assert len(total) == 200
    else:
        for name in names:
            moments = sorted(at for group, at in total if group == name)
            assert len(moments) >= 2
            assert all((c - a).total_seconds() > 10 for a, c in zip(moments, moments[2:], strict=False))
    assert all(later >= first for first, later in pairwise(sorted(at for _, at in total)))


# Traces


def test_an_empty_group_leaves_no_trace(hands, broker, bench):
    policy = QueuePolicy("lane", groups=GroupRules(concurrency=2, rate_limit=RateLimit(5, per=2)))
    hands.push_each("aab")
    job = hands.claim_one(policy=policy)
    assert hands.settle(job, Postponed(1, "slow down", whole_group=True))
    bench.advance(30)
    assert hands.turns(3, policy=policy) in ("aab", "aba", "baa")
    assert not broker.groups("lane")
    bench.advance(30)
    hands.push_each("c")
    assert hands.turns(1, policy=policy) == "c"
    assert not GroupState.objects.exists()
    assert set(Grant.objects.values_list("subject", flat=True)) <= {"ga", "gb", "gc"}
    assert set(QueueState.objects.values_list("turns", flat=True)) <= {"", '{"0": "c"}'}
