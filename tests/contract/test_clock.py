"""A clock that was ahead once, or is set back: what waits then waits from now on (G6)."""

from datetime import timedelta

import pytest

from jobs.broker.records import HandedBack, Postponed, Retried
from tests.contract.hands import LONG

DAYS = 400 * 86_400
#: The wheel of time is turned back a moment after it was turned ahead.
CLOSE = 5


def renew(hands):
    hands.broker.renew([hands.worker], LONG)


@pytest.fixture
def ahead(bench):
    """Turn the clock ahead; the answer turns it back."""

    def turn(seconds=DAYS):
        bench.advance(seconds)
        return lambda: bench.advance(-seconds)

    return turn


def test_jobs_accepted_while_the_clock_was_ahead_are_due_once_it_is_right(hands, broker, ahead):
    turn_back = ahead()
    ids = [hands.push() for _ in range(3)]
    turn_back()
    assert hands.claim() == []
    rewound = broker.rewind()
    assert (rewound.jobs, rewound.more) == (3, False)
    assert rewound.ahead == pytest.approx(DAYS, abs=CLOSE)
    assert hands.claim_ids() == ids


def test_a_delay_counts_anew_and_is_never_shortened(hands, broker, bench, ahead):
    turn_back = ahead()
    job_id = hands.push(delay=60)
    turn_back()
    broker.rewind()
    found = hands.exchange()
    assert found.jobs == ()
    assert found.wait == pytest.approx(60, abs=CLOSE)
    bench.advance(60 - CLOSE)
    assert hands.claim() == []
    bench.advance(CLOSE)
    assert hands.claim_ids() == [job_id]


@pytest.mark.parametrize(
    "outcome", [Retried(30, "broken"), Postponed(30, "later"), HandedBack("unknown", delay=30, unknown=True)], ids=repr
)
def test_what_came_back_while_the_clock_was_ahead_is_due_in_its_delay(hands, broker, bench, ahead, outcome):
    job_id = hands.push()
    turn_back = ahead()
    renew(hands)
    assert hands.settle(hands.claim_one(), outcome)
    turn_back()
    renew(hands)
    assert broker.rewind().jobs == 1
    assert hands.claim() == []
    bench.advance(30)
    assert hands.claim_ids() == [job_id]


def test_what_was_promoted_while_the_clock_was_ahead_is_due_once_it_is_right(hands, broker, ahead):
    job_id = hands.push(delay=2 * DAYS)
    turn_back = ahead()
    assert broker.promote("lane", job_id)
    turn_back()
    broker.rewind()
    assert hands.claim_ids() == [job_id]


def test_a_queue_told_to_wait_while_the_clock_was_ahead_waits_no_longer_than_it_was_told(hands, broker, bench, ahead):
    hands.push()
    turn_back = ahead()
    renew(hands)
    assert hands.settle(hands.claim_one(), Postponed(30, "slow down", whole_queue=True))
    turn_back()
    renew(hands)
    broker.rewind()
    assert hands.exchange().wait == pytest.approx(30, abs=CLOSE)
    bench.advance(30)
    assert len(hands.claim()) == 1


def test_a_time_that_was_asked_for_stays(hands, broker, bench, ahead):
    at = broker.now() + timedelta(hours=2)
    turn_back = ahead(3_600)
    job_id = hands.push(at=at)
    turn_back()
    broker.rewind()
    bench.advance(7_200 - CLOSE)
    assert hands.claim() == []
    bench.advance(CLOSE)
    (job,) = hands.claim()
    assert (job.id, job.ready_at) == (job_id, at)


def test_a_time_asked_for_that_the_clock_ahead_took_for_past_is_due_now(hands, broker, ahead):
    at = broker.now() + timedelta(hours=2)
    turn_back = ahead()
    job_id = hands.push(at=at)
    turn_back()
    broker.rewind()
    assert hands.claim_ids() == [job_id]


def test_jobs_accepted_by_the_right_clock_are_left_as_they_are(hands, broker, bench, ahead):
    hands.push(delay=60)
    ahead()()
    assert broker.rewind().jobs == 0
    bench.advance(60 - CLOSE)
    assert hands.claim() == []


def test_a_job_does_not_outlive_its_time_because_the_clock_was_ahead(hands, broker, bench, ahead):
    turn_back = ahead()
    hands.push(expires_in=60)
    turn_back()
    broker.rewind()
    bench.advance(61)
    assert hands.claim() == []


def test_setting_right_once_more_changes_nothing(hands, broker, bench, ahead):
    turn_back = ahead()
    hands.push(delay=60)
    turn_back()
    assert broker.rewind().jobs == 1
    bench.advance(30)
    assert broker.rewind().jobs == 0
    assert hands.exchange().wait == pytest.approx(30, abs=CLOSE)


def test_many_jobs_are_set_right_in_some_calls_and_keep_their_order(hands, broker, ahead):
    turn_back = ahead()
    jobs = [hands.new_job() for _ in range(1_500)]
    hands.push_all(jobs[:1_000])
    hands.push_all(jobs[1_000:])
    turn_back()
    assert [broker.rewind().more, broker.rewind().more] == [True, False]
    assert hands.claim_ids(2_000) == [job.id for job in jobs]


def test_what_ends_after_the_clock_was_set_back_has_not_ended_in_the_future(hands, broker, bench, ahead):
    turn_back = ahead()
    renew(hands)
    hands.push()
    settlement = hands.settlement(hands.claim_one(), HandedBack("interrupted"))
    turn_back()
    renew(hands)
    assert hands.exchange(settlement, wanted=0).settled[0].counted
    broker.rewind()
    assert len(hands.claim()) == 1
