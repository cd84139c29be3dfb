"""Every method raises one error when the store cannot be reached, and works again when it can."""

from contextlib import nullcontext

import pytest

from jobs import clock
from jobs.broker.changes import Change
from jobs.broker.contract import Broker
from jobs.broker.lanes import GroupSettings
from jobs.broker.records import Completed, Settlement
from jobs.errors import BrokerAway
from jobs.policy import Limit, QueueLimits, QueuePolicy, RateLimit
from tests.contract.hands import QUEUES

PACED = QueuePolicy("lane", rate_limit=RateLimit(10, per=1))
#: How a test calls each method; None: it never goes to the store.
CALLS = {
    "now": lambda broker, hands, job: broker.now(),
    "clock_offset": None,
    "push": lambda broker, hands, job: broker.push("lane", [hands.new_job()]),
    "adopt": lambda broker, hands, job: broker.adopt("lane", []),
    "register": lambda broker, hands, job: broker.register(hands.record(clock.new_id()), 30),
    "renew": lambda broker, hands, job: broker.renew([hands.worker], 30),
    "processes": lambda broker, hands, job: broker.processes(),
    "exchange": lambda broker, hands, job: hands.exchange(Settlement(job, Completed(), job.claimed_at, job.claimed_at)),
    "exchange that only claims": lambda broker, hands, job: hands.exchange(),
    "exchange of a limited queue": lambda broker, hands, job: hands.exchange(policy=PACED),
    "release": lambda broker, hands, job: broker.release(hands.record(hands.worker), lost=False),
    "reap": lambda broker, hands, job: broker.reap(QUEUES),
    "waits_alone": lambda broker, hands, job: broker.waits_alone(["lane"]),
    "begin_atomic": None,  # what is under way there ends with the connection
    "settle_in_transaction": None,  # its transaction ends with the connection
    "has_committed": lambda broker, hands, job: broker.has_committed(job),
    "after_atomic": None,
    "holds": lambda broker, hands, job: broker.holds("lane", job.id, job.token),
    "find": lambda broker, hands, job: broker.find("lane", job.id),
    "explain": lambda broker, hands, job: broker.explain(PACED, job.id),
    "find_all": lambda broker, hands, job: broker.find_all("lane", [job.id]),
    "list_active": lambda broker, hands, job: broker.list_active("lane"),
    "list_waiting": lambda broker, hands, job: broker.list_waiting("lane"),
    "cancel": lambda broker, hands, job: broker.cancel("lane", job.id, "why"),
    "cancel_waiting": lambda broker, hands, job: broker.cancel_waiting("lane", [job.id], "why"),
    "promote": lambda broker, hands, job: broker.promote("lane", job.id),
    "await_ends": lambda broker, hands, job: broker.await_ends("lane", [job.id]),
    "change": lambda broker, hands, job: broker.change("lane", job.id, Change(delay=5)),
    "holder": lambda broker, hands, job: broker.holder("lane", "k"),
    "release_key": lambda broker, hands, job: broker.release_key("lane", "k", job.id),
    "examine": lambda broker, hands, job: broker.examine("lane"),
    "wipe": lambda broker, hands, job: broker.wipe("lane", force=True),
    "queues": lambda broker, hands, job: broker.queues(),
    "pause": lambda broker, hands, job: broker.pause("lane"),
    "pause_worker": lambda broker, hands, job: broker.pause_worker("lane", hands.worker, paused=True),
    "resume": lambda broker, hands, job: broker.resume("lane"),
    "pause_tag": lambda broker, hands, job: broker.pause_tag("lane", "x", paused=True),
    "set_group": lambda broker, hands, job: broker.set_group("lane", "g", GroupSettings(paused=True)),
    "groups": lambda broker, hands, job: broker.groups("lane"),
    "count_group": lambda broker, hands, job: broker.count_group("lane", "g", 10),
    "set_limits": lambda broker, hands, job: broker.set_limits("lane", QueueLimits(concurrency=3)),
    "pace_of": lambda broker, hands, job: broker.pace_of(Limit("hubspot", RateLimit(1))),
    "pace_of_queue": lambda broker, hands, job: broker.pace_of_queue("lane", RateLimit(1)),
    "limits": lambda broker, hands, job: broker.limits("lane"),
    "counts": lambda broker, hands, job: broker.counts("lane"),
    "life": lambda broker, hands, job: broker.life("lane", "", ""),
    "mend": lambda broker, hands, job: broker.mend("lane"),
    "heal": lambda broker, hands, job: broker.heal("lane"),
    "live_ids": lambda broker, hands, job: list(broker.live_ids("lane")),
    "rewind": lambda broker, hands, job: broker.rewind(),
    "report_dropped": lambda broker, hands, job: broker.report_dropped(hands.worker, 1),
    "report_trouble": lambda broker, hands, job: broker.report_trouble(hands.worker, "trouble"),
    "read_facts": lambda broker, hands, job: broker.read_facts("lane", "", "", 10),
    "forget_facts": lambda broker, hands, job: broker.forget_facts("lane", "", "0-1"),
    "lag": lambda broker, hands, job: broker.lag("lane", ""),
    "hint_after_commit": None,
    "wait_for_hint": None,
    "pass_hint_on": None,
    "close": None,
}
FACTS = (
    "await_ends",
    "list_active",
    "adopt",
    "life",
    "mend",
    "heal",
    "examine",
    "wipe",
    "live_ids",
    "processes",
    "queues",
    "read_facts",
    "forget_facts",
    "lag",
)


def test_every_method_of_the_contract_is_tried_here():
    methods = {name for name in vars(Broker) if not name.startswith("_") and callable(getattr(Broker, name))}
    assert {name.partition(" ")[0] for name in CALLS} == methods


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call])
def test_a_store_that_cannot_be_reached_raises_one_error_and_works_again_afterwards(bench, hands, broker, name):
    hands.push()
    claimed = hands.claim_one()
    # a store whose clock is the machine's can always tell the time, and one whose rows are the queue has no facts
    known = (name == "now" and not bench.has_a_clock) or (name in FACTS and broker.rows_are_the_queue)
    known = known or (name == "has_committed" and not broker.rows_are_the_queue)  # the jobs' database knows
    fails = nullcontext() if known else pytest.raises(BrokerAway)
    with bench.out_of_reach(), fails:
        CALLS[name](broker, hands, claimed)
    CALLS[name](broker, hands, claimed)
