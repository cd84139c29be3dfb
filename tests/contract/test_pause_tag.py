"""A paused tag: the jobs that carry it keep their places and do not start, whatever they are; others go on."""

from collections import defaultdict
from random import Random

import pytest

from jobs.broker.changes import Change
from jobs.broker.lanes import GroupSettings, lane_of
from jobs.broker.records import Completed, Failed, HandedBack, KeyMode, KeyRule, Postponed, Retried
from jobs.policy import Bulk, GroupRules, Limit, QueuePolicy, RateLimit
from tests.contract.hands import Hands
from tests.contract.model import Model

HUBSPOT = Limit("hubspot", RateLimit(2, per=100))
LIMITED = QueuePolicy("lane", groups=GroupRules(concurrency=1), limits={"app.sync": (HUBSPOT,)})


class Tagging(Hands):
    """The same hands, for jobs with tags and groups."""

    def new_job(self, *tags, group="", **options):
        task = options.get("task", "app.task")
        lane = lane_of(group, task, ruled=task in ("app.sync", "app.send"))
        return super().new_job(tags=tags, group=group, lane=lane, **options)

    def push(self, *tags, **options):
        job = self.new_job(*tags, **options)
        self.push_all([job])
        return job.id


@pytest.fixture
def hands(bench):
    return Tagging(bench.broker)


@pytest.fixture
def pause(broker):
    return lambda tag: broker.pause_tag("lane", tag, paused=True)


@pytest.fixture
def resume(broker):
    return lambda tag: broker.pause_tag("lane", tag, paused=False)


def test_jobs_stay_in_their_places_and_others_go_on(hands, broker, bench, pause, resume):
    pause("import:42")
    first, low, other = hands.push("import:42"), hands.push("a", "import:42", priority=-5), hands.push("import:4")
    late, plain = hands.push("import:42", delay=30), hands.push()
    assert hands.claim_ids(1) == [other]
    exchange = hands.exchange()
    assert ([job.id for job in exchange.jobs], exchange.wait) == ([plain], pytest.approx(30, abs=2))
    last = hands.push("import:42")
    pause("import:42")
    bench.advance(40)
    behind = hands.push()
    assert bench.another().counts("lane").paused_tags == ("import:42",)
    assert broker.counts("other").paused_tags == ()
    assert hands.claim_ids() == [behind]
    assert hands.exchange().wait is None
    counts = broker.counts("lane")
    assert (counts.waiting, counts.scheduled, counts.oldest_ready_at is not None) == (4, 0, True)
    new = hands.push()
    resume("import:42")
    assert broker.counts("lane").paused_tags == ()
    assert hands.claim_ids(2) == [first, last]
    assert hands.claim_ids() == [late, new, low]


def test_a_job_starts_once_none_of_its_tags_is_paused(hands, pause, resume):
    for tag in "abc":
        pause(tag)
    both, one, third = hands.push("a", "b"), hands.push("a"), hands.push("c", "b")
    assert hands.claim_ids() == []
    resume("a")
    assert hands.claim_ids() == [one]
    resume("c")
    assert hands.claim_ids() == []
    resume("b")
    assert hands.claim_ids() == [both, third]


def test_what_comes_back_stays_put(hands, broker, bench, pause, resume):
    jobs = [hands.push("x") for _ in range(4)]
    completed, retried, back = (hands.claim_one() for _ in range(3))
    dying = hands.new_worker()
    assert hands.claim_ids(1, worker=dying) == [jobs[3]]
    pause("x")
    assert hands.settle(completed)
    assert hands.settle(retried, Retried(5, "again"))
    assert hands.settle(back, HandedBack("stopping"))
    hands.release(dying, lost=True)
    bench.advance(6)
    assert hands.claim_ids() == []
    resume("x")
    assert hands.claim_ids() == [jobs[2], jobs[3], jobs[1]]


def test_a_job_that_must_run_alone_calls_for_no_process_meanwhile(hands, broker, pause, resume):
    alone = hands.push("x", "y")
    hands.lose(2)
    pause("y")
    assert broker.waits_alone(["lane"]) == frozenset()
    assert hands.claim_ids(alone=True) == []
    other = hands.push("x", group="g")
    assert hands.claim_ids() == [other]
    resume("y")
    assert broker.waits_alone(["lane"]) == {"lane"}
    assert hands.claim_ids(alone=True) == [alone]


def test_jobs_are_cancelled_promoted_and_changed_meanwhile(hands, broker, bench, pause, resume):
    gone, moved, raised, kept = (hands.push("x") for _ in range(4))
    later, expired = hands.push("x", delay=50), hands.push("x", expires_in=20)
    pause("x")
    assert hands.claim_ids() == []
    assert broker.cancel("lane", gone, "not needed") == "cancelled"
    assert broker.change("lane", moved, Change(delay=100)) == "changed"
    assert broker.change("lane", raised, Change(priority=9)) == "changed"
    assert broker.promote("lane", later)
    assert broker.find("lane", kept).state == "queued"
    assert {job.id for job in broker.list_waiting("lane").jobs} == {moved, raised, kept, later, expired}
    bench.advance(30)
    assert broker.reap(["lane"]).expired == 1
    assert dict(broker.examine("lane")) == dict.fromkeys(broker.examine("lane"), 0)
    assert broker.heal("lane").returned == 0
    assert hands.claim_ids() == []
    resume("x")
    assert hands.claim_ids() == [raised, kept, later]
    bench.advance(71)
    assert hands.claim_ids() == [moved]


def test_a_call_that_takes_over_a_job_takes_over_its_tags(hands, pause):
    job_id = hands.push("x", key="k")
    pause("x")
    assert hands.claim_ids() == []
    hands.push("y", key="k", rule=KeyRule(KeyMode.REPLACE))
    assert hands.claim_ids() == [job_id]


def test_the_next_run_of_a_dead_letter_stays_put(hands, pause, resume):
    job_id = hands.push("x")
    assert hands.settle(hands.claim_one(), Failed("broken"))
    pause("x")
    hands.push("x", id=job_id, run=2)
    assert hands.claim_ids() == []
    resume("x")
    assert hands.claim_ids() == [job_id]


def test_rules_of_groups_and_limits_hold_for_what_was_put_aside(hands, broker, pause, resume):
    sync = {"task": "app.sync"}
    pause("x")
    first, second, free = hands.push("x", group="a", **sync), hands.push("x", group="a"), hands.push("x", **sync)
    over = [hands.push("x", **sync), hands.push("x", group="b", **sync)]
    other = hands.push(group="a")
    running = hands.claim_one(policy=LIMITED)
    assert running.id == other
    assert hands.claim_ids(policy=LIMITED) == []
    (seen,) = [one for one in broker.groups("lane") if one.name == "a"]
    assert (seen.waiting, seen.active) == (2, 1)
    assert {one.name for one in broker.groups("lane")} == {"a", "b"}
    resume("x")
    # its group runs one job, and the limit grants two starts: who gets them is a matter of turns
    got = hands.claim(policy=LIMITED) + hands.claim(policy=LIMITED)
    assert {job.id for job in got} <= {free, *over}
    assert len(got) == 2
    assert hands.settle(running)
    assert hands.claim_ids(policy=LIMITED) == [second]
    broker.set_group("lane", "a", GroupSettings(paused=True))
    assert hands.claim_ids() == [id for id in [free, *over] if id not in {job.id for job in got}]
    broker.set_group("lane", "a", GroupSettings())
    assert hands.claim_ids() == [first]


def test_jobs_that_start_in_bulk_are_put_aside_one_by_one(hands, bench, pause, resume):
    send = {"task": "app.send"}
    policy = QueuePolicy("lane", bulks={"app.send": Bulk(4, 3, 60)})
    pause("x")
    ids = [hands.push(*(["x"] if number % 2 else []), **send) for number in range(6)]
    assert hands.claim_ids(1, policy=policy) == ids[::2]
    more = [hands.push(**send), hands.push("x", **send), hands.push(**send)]
    # too few without those that are paused, and the first has not waited long enough
    assert hands.claim_ids(1, policy=policy) == []
    bench.advance(61)
    assert hands.claim_ids(1, policy=policy) == [more[0], more[2]]
    resume("x")
    assert hands.claim_ids(1, policy=policy) == [*ids[1::2], more[1]]


def test_a_group_that_is_told_to_wait_by_such_a_job_waits(hands, bench, pause, resume):
    pause("x")
    hands.push("x", group="a")
    hands.push("x", group="a")
    assert hands.claim_ids() == []
    resume("x")
    assert hands.settle(hands.claim_one(), Postponed(20, "slow down", whole_group=True))
    assert hands.claim_ids() == []
    bench.advance(21)
    assert len(hands.claim_ids()) == 2


def test_thousands_in_front_are_put_aside_once_in_pieces_and_nobody_overtakes(hands, broker, bench, pause, resume):
    pause("x")
    head = [hands.new_job("x", group="g" if number % 50 == 0 else "") for number in range(1_300)]
    for start in range(0, len(head), 500):
        hands.push_all(head[start : start + 500])
    first, lower = hands.push(), hands.push(priority=-1)
    for _ in range(20):
        exchange = hands.exchange(wanted=1)
        if exchange.jobs:
            break
        # it was cut short, and others have their turn at the store
        assert exchange.wait is not None
        assert exchange.wait < 0.1
    assert [job.id for job in exchange.jobs] == [first]
    # whoever put them aside is gone before they are resumed
    assert hands.release(hands.worker, lost=False) == 1
    hands.worker = hands.new_worker()
    assert hands.claim_ids(1) == [first]
    resume("x")
    hands.broker = bench.another()
    try:
        got = [job for _ in range(14) for job in hands.claim(100)]
        hands.broker.counts("lane")
    finally:
        hands.broker.close()
        hands.broker = broker
    assert [job.id for job in got if not job.group] == [*(job.id for job in head if not job.group), lower]
    assert [job.id for job in got if job.group] == [job.id for job in head if job.group]


def test_many_that_were_put_aside_start_in_their_places_among_the_others_of_their_group(hands, pause, resume):
    for group in ("", "g"):
        jobs = [hands.new_job(*(["x"] if number % 3 < 2 else []), group=group) for number in range(240)]
        hands.push_all(jobs)
        ids = [job.id for job in jobs]
        pause("x")
        assert hands.claim_ids(1) == [ids.pop(2)]
        resume("x")
        got = []
        while more := hands.claim_ids(7):
            got += more
        assert got == ids


def test_a_claim_that_puts_a_groups_job_aside_takes_as_many_others_as_it_wants(hands, pause):
    pause("x")
    hands.push("x", group="a")
    plain = [hands.push() for _ in range(3)]
    assert hands.claim_ids(2) == plain[:2]


def test_the_same_exchange_again_brings_the_same_jobs(hands, pause):
    hands.push("x")
    plain = [hands.push() for _ in range(3)]
    pause("x")
    first = hands.exchange(wanted=2, number=50)
    assert [job.id for job in first.jobs] == plain[:2]
    assert hands.exchange(wanted=2, number=50) == first


def test_an_order_that_holds_and_no_loss_whatever_people_and_workers_do(hands, broker, bench):
    seed = Random().randrange(1_000_000)
    chance, model, held = Random(seed), Model(), []
    model.leases[hands.worker] = float("inf")

    def push():
        tags = chance.choice([(), (), ("x",), ("y",), ("x", "y")])
        options = {
            "group": chance.choice(["", "", "a", "b"]),
            "priority": chance.choice([0, 0, 5]),
            "delay": chance.choice([0, 0, 50]),
        }
        job_id = hands.push(*tags, **options)
        model.push(job_id, 1, options["priority"], options["delay"], None, tags, options["group"])

    def pause_one():
        tag, paused = chance.choice("xy"), chance.random() < 0.5
        broker.pause_tag("lane", tag, paused=paused)
        (model.paused_tags.add if paused else model.paused_tags.discard)(tag)

    def pause_group():
        paused = chance.random() < 0.5
        broker.set_group("lane", "a", GroupSettings(paused=paused))
        (model.paused_groups.add if paused else model.paused_groups.discard)("a")

    def claim(wanted=None):
        wanted, startable = wanted or chance.randint(1, 5), model.startable()
        claimed = hands.claim(wanted)
        taken = [model.take(model.jobs[job.id], hands.worker) for job in claimed]
        held.extend((job, model.jobs[job.id].claims) for job in claimed)
        left = [job for job in startable if job not in taken]
        assert len(taken) == min(wanted, len(startable)), f"seed {seed}: {left} of {taken} at {broker.now()}"
        # the highest priorities, and of each group its first ones in their order
        assert [job.priority for job in taken] == [job.priority for job in startable[: len(taken)]]
        by_group, mine = defaultdict(list), defaultdict(list)
        for job in startable:
            by_group[job.group, job.priority].append(job)
        for job in taken:
            mine[job.group, job.priority].append(job)
        assert all(by_group[group][: len(jobs)] == jobs for group, jobs in mine.items())

    def settle():
        for _ in range(min(2, len(held))):
            job, number = held.pop(chance.randrange(len(held)))
            outcome, said = chance.choice(
                [
                    (Completed(), ("completed", 1, None)),
                    (Retried(50, "x"), ("queued", 1, 50)),
                    (HandedBack("x"), ("queued", 0, None)),
                ]
            )
            assert hands.settle(job, outcome) is model.settle(job.id, number, *said)

    def on_one():
        if model.jobs:
            job_id = chance.choice(list(model.jobs))
            what = chance.randrange(3)
            if what == 0:
                assert broker.cancel("lane", job_id, "no") == model.cancel(job_id)
            elif what == 1:
                assert broker.promote("lane", job_id) is model.promote(job_id)
            else:
                priority = chance.choice([0, 5])
                assert broker.change("lane", job_id, Change(priority=priority)) == model.change(job_id, None, priority)

    def advance():
        bench.advance(100)
        model.time += 100

    for _ in range(120):
        chance.choice([push, push, push, claim, claim, settle, pause_one, pause_one, pause_group, on_one, advance])()
    model.paused_tags.clear()
    model.paused_groups.clear()
    for tag in "xy":
        broker.pause_tag("lane", tag, paused=False)
    broker.set_group("lane", "a", GroupSettings())
    advance()
    claim(200)
    counts = broker.counts("lane")
    assert (counts.waiting, counts.scheduled, counts.active) == (0, 0, len(held))
