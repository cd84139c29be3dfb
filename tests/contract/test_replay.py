"""What a lost reply leaves behind: the same exchange again brings the same reply, and no call does harm twice."""

import pytest
from msgspec.structs import replace

from jobs import clock
from jobs.broker.records import Completed, Failed, HandedBack, PushStatus, Reaped, Released, Retried
from jobs.errors import BrokerAway
from jobs.policy import QueuePolicy, RateLimit
from jobs.states import State
from tests.contract.hands import QUEUES, Hands


class Lossy:
    """Passes every call on to a broker and loses the reply of the next one."""

    def __init__(self, broker):
        self._broker = broker

    def __getattr__(self, name):
        def call(*args, **options):
            getattr(self._broker, name)(*args, **options)
            raise BrokerAway("the reply was lost")

        return call


@pytest.fixture
def again(broker):
    """`again(call)`: make a call whose reply gets lost, and then make it again; returns what the second one answers."""

    def repeat(call):
        with pytest.raises(BrokerAway):
            call(Lossy(broker))
        return call(broker)

    return repeat


def test_the_same_number_brings_the_same_jobs(hands, again, bench):
    ids = [hands.push(priority=priority) for priority in (0, 80, 0)]
    answer = again(lambda broker: broker.exchange(hands.worker, hands.policy, [], 10, number=1))
    assert [job.id for job in answer.jobs] == [ids[1], ids[0], ids[2]]
    assert all(hands.settle(job, number=number) for number, job in enumerate(answer.jobs, 2))
    assert bench.counters("lane") == {"completed": 3}


def test_a_reply_is_repeated_to_the_letter(hands, broker):
    for number in range(4):
        hands.push(key=f"k{number}", expires_in=100, scope="org-1", group="g", tags=("a", "b"), event="e")
    first, second, third = hands.claim(3)
    wishes = [hands.settlement(first, Completed("1")), hands.settlement(second, Failed("no"))]
    stranger = hands.settlement(replace(third, token="999"), Completed())
    answer = broker.exchange(hands.worker, hands.policy, [*wishes, stranger], 5, number=9)
    assert answer == broker.exchange(hands.worker, hands.policy, [*wishes, stranger], 5, number=9)
    assert [settled.state for settled in answer.settled] == [State.COMPLETED, State.FAILED, None]
    assert len(answer.jobs) == 1


def test_another_process_of_the_broker_repeats_it_too(hands, bench):
    job_id = hands.push()
    answer = hands.exchange(number=1)
    other = Hands(bench.another())
    assert other.exchange(number=1, worker=hands.worker) == answer
    assert [job.id for job in answer.jobs] == [job_id]


def test_an_empty_reply_is_repeated_although_a_job_has_come(hands):
    assert hands.exchange(number=1).jobs == ()
    job_id = hands.push()
    assert hands.exchange(number=1).jobs == ()
    assert hands.exchange(number=2).jobs[0].id == job_id


def test_a_repeated_settlement_counts_once(hands, again, bench):
    job_id = hands.push()
    claimed = hands.claim_one()
    wish = hands.settlement(claimed, Retried(0, "broken"))
    answer = again(lambda broker: broker.exchange(hands.worker, hands.policy, [wish], 0, number=7))
    assert (answer.settled[0].counted, answer.settled[0].state) == (True, State.QUEUED)
    assert bench.record(job_id).timeline == [(1, "failed")]
    assert bench.counters("lane") == {"retried": 1}


@pytest.mark.parametrize("fill", [True, False])
def test_a_lower_number_is_an_error(hands, fill):
    if fill:
        hands.push()
    hands.exchange(number=5)
    with pytest.raises(ValueError, match="exchange number 4"):
        hands.exchange(number=4)


def test_numbers_may_leave_some_out(hands):
    hands.push()
    assert hands.exchange(number=5).jobs
    hands.push()
    assert hands.exchange(number=50).jobs


def test_each_worker_has_numbers_of_its_own(hands):
    first, second = hands.push(), hands.push()
    other = hands.new_worker()
    assert [job.id for job in hands.exchange(number=3, wanted=1).jobs] == [first]
    assert [job.id for job in hands.exchange(number=3, wanted=1, worker=other).jobs] == [second]


def test_a_repeated_claim_of_a_limited_queue_takes_no_more_slots_and_gives_no_more_time(hands, again):
    policy = QueuePolicy("lane", rate_limit=RateLimit(2, per=100))
    ids = [hands.push() for _ in range(3)]
    began = clock.monotonic()
    answer = again(lambda broker: broker.exchange(hands.worker, policy, [], 1, number=1))
    assert [job.id for job in answer.jobs] == ids[:1]
    assert answer.jobs[0].start_by <= began + 1
    assert [job.id for job in hands.exchange(policy=policy, number=2).jobs] == ids[1:2]
    assert hands.exchange(policy=policy, number=3).jobs == ()


def test_a_reply_does_not_outlive_its_worker(hands, broker):
    hands.push()
    hands.exchange(number=1)
    hands.release(hands.worker, lost=False)
    assert hands.exchange(number=1).jobs == ()


def test_a_repeated_push_takes_the_job_once(hands, again):
    job = hands.new_job(key="k")
    reply = again(lambda broker: broker.push("lane", [job]))
    assert [answer.status for answer in reply.answers] == [PushStatus.KNOWN]
    assert hands.claim_ids() == [job.id]


def test_a_repeated_register_or_renewal_is_harmless(hands, again, broker):
    record = hands.record(clock.new_id())
    again(lambda broker: broker.register(record, 30))
    assert again(lambda broker: broker.renew([record.id], 30)).alive == {record.id}


def test_a_repeated_release_counts_one_loss(hands, again, bench):
    job_id = hands.push()
    hands.claim_one()
    assert again(lambda broker: broker.release(hands.record(hands.worker), lost=True)) == Released()
    assert (bench.record(job_id).lost, bench.record(job_id).timeline) == (1, [(None, "lost")])


def test_a_repeated_reap_counts_one_loss(broker, again, bench):
    hands = Hands(broker, lease=30)
    job_id = hands.push()
    hands.claim_one()
    bench.advance(31)
    assert again(lambda broker: broker.reap(QUEUES)) == Reaped()
    assert bench.record(job_id).lost == 1


def test_repeated_orders_of_people_are_harmless(hands, again, bench):
    waiting, scheduled = hands.push(), hands.push(delay=60)
    assert again(lambda broker: broker.promote("lane", scheduled)) is False
    assert again(lambda broker: broker.cancel("lane", waiting, "not wanted")) == "ended"
    assert again(lambda broker: broker.cancel_waiting("lane", [scheduled], "not wanted")) == frozenset()
    for order in ("pause", "resume"):
        again(lambda broker, order=order: getattr(broker, order)("lane"))
    assert bench.counters("lane") == {"cancelled": 2}


def test_a_handed_back_job_is_not_given_twice_by_a_lost_reply(hands, again):
    job_id = hands.push()
    claimed = hands.claim_one()
    wish = hands.settlement(claimed, HandedBack("stopping"))
    again(lambda broker: broker.exchange(hands.worker, hands.policy, [wish], 0, number=20))
    assert hands.exchange(number=21).jobs[0].id == job_id
    assert hands.exchange(number=22).jobs == ()
