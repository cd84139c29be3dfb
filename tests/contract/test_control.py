"""What people ask for: pause, cancel, promote, and the numbers they see."""

from datetime import timedelta
from uuid import UUID

import pytest

from jobs import clock
from jobs.broker.records import CancelAnswer, HandedBack, Postponed, PushStatus, Retried
from jobs.states import State
from tests.contract.hands import Hands


def test_a_paused_queue_gives_nothing_until_it_resumes(hands, broker):
    job_id = hands.push()
    broker.pause("lane")
    broker.pause("lane")
    assert hands.claim_ids() == []
    assert hands.exchange().wait is None
    broker.resume("lane")
    assert hands.claim_ids() == [job_id]


def test_a_pause_holds_one_queue_only(hands, broker):
    broker.pause("other")
    hands.push()
    assert len(hands.claim()) == 1


def test_a_paused_queue_still_settles_and_accepts(hands, broker):
    hands.push()
    claimed = hands.claim_one()
    broker.pause("lane")
    assert hands.settle(claimed)
    assert hands.push_one().status is PushStatus.ACCEPTED


def test_resume_ends_a_slow_down_too(hands, broker):
    hands.push()
    hands.settle(hands.claim_one(), Postponed(0, "429", whole_queue=False))
    hands.settle(hands.claim_one(), Postponed(600, "429", whole_queue=True))
    job_id = hands.push()
    assert broker.counts("lane").blocked_until is not None
    broker.resume("lane")
    assert broker.counts("lane").blocked_until is None
    assert hands.claim_ids() == [job_id]


def test_a_resume_of_a_queue_that_was_never_paused_is_harmless(hands, broker):
    broker.resume("lane")
    assert broker.counts("lane").paused is False


@pytest.mark.parametrize("delay", [0, 60])
def test_a_waiting_job_is_cancelled_and_never_starts(hands, broker, bench, delay):
    job_id = hands.push(delay=delay)
    assert broker.cancel("lane", job_id, "not wanted") is CancelAnswer.CANCELLED
    bench.advance(61)
    assert hands.claim_ids() == []
    assert (bench.record(job_id).state, bench.record(job_id).reason) == (State.CANCELLED, "not wanted")
    assert broker.cancel("lane", job_id, "again") is CancelAnswer.ENDED
    assert bench.record(job_id).reason == "not wanted"
    assert bench.counters("lane") == {"cancelled": 1}


def test_a_running_job_is_asked(hands, broker):
    job_id = hands.push()
    claimed = hands.claim_one()
    assert broker.cancel("lane", job_id, "stop") is CancelAnswer.ASKED
    assert broker.holds("lane", job_id, claimed.token)
    assert broker.cancel("lane", job_id, "stop") is CancelAnswer.ASKED


def test_a_dead_letter_can_be_discarded(hands, broker, bench):
    job_id = hands.fail_one()
    assert broker.cancel("lane", job_id, "discarded") is CancelAnswer.CANCELLED
    assert bench.record(job_id).state == State.CANCELLED
    assert bench.counters("lane") == {"failed": 1}


def test_an_ended_job_cannot_be_cancelled(hands, broker, bench):
    job_id = hands.push()
    hands.settle(hands.claim_one())
    assert broker.cancel("lane", job_id, "too late") is CancelAnswer.ENDED
    assert bench.record(job_id).state == State.COMPLETED


def test_an_unknown_job_cannot_be_cancelled(broker):
    assert broker.cancel("lane", clock.new_id(), "who") is None


def test_of_many_jobs_only_those_that_wait_are_cancelled(hands, broker, bench):
    dead = hands.fail_one()
    running = hands.push()
    claimed = hands.claim_one()
    waiting, scheduled, other = hands.push(), hands.push(delay=3600), hands.push(queue="other")
    ids = [dead, running, waiting, scheduled, other, clock.new_id()]
    assert broker.cancel_waiting("lane", ids, "drained") == {waiting, scheduled}
    assert broker.cancel_waiting("lane", ids, "again") == frozenset()
    assert (bench.record(waiting).state, bench.record(waiting).reason) == (State.CANCELLED, "drained")
    assert bench.record(dead).state == State.FAILED
    assert broker.holds("lane", running, claimed.token)
    assert (bench.counters("lane"), bench.counters("other")) == ({"cancelled": 2, "failed": 1}, {})


def test_cancelling_many_frees_their_keys(hands, broker):
    first = hands.push(key="one")
    broker.cancel_waiting("lane", [first], "drained")
    assert hands.push_one(key="one").status is PushStatus.ACCEPTED


def test_a_promoted_job_is_due_now_behind_those_that_wait(hands, broker):
    scheduled = hands.push(delay=3600)
    waiting = hands.push()
    assert broker.promote("lane", scheduled) is True
    assert hands.claim_ids() == [waiting, scheduled]


def test_a_retrying_job_can_be_promoted(hands, broker):
    job_id = hands.push()
    hands.settle(hands.claim_one(), Retried(3600, "broken"))
    assert broker.promote("lane", job_id) is True
    assert hands.claim_one().attempts == 1


def test_only_a_queued_job_that_is_not_due_is_promoted(hands, broker):
    assert broker.promote("lane", clock.new_id()) is False
    job_id = hands.push()
    assert broker.promote("lane", job_id) is False
    claimed = hands.claim_one()
    assert broker.promote("lane", job_id) is False
    hands.settle(claimed)
    assert broker.promote("lane", job_id) is False


def test_counts_tell_the_live_jobs_apart(hands, broker, bench):
    assert (broker.counts("lane").waiting, broker.counts("lane").oldest_ready_at) == (0, None)
    hands.push(priority=-80)
    oldest = hands.claim_one()
    for priority in (81, 0, -80):
        hands.push(priority=priority)
        hands.push(priority=priority, delay=3600)
    hands.push(queue="other")
    counts = broker.counts("lane")
    assert (counts.waiting, counts.scheduled, counts.active, counts.paused) == (3, 3, 1, False)
    assert oldest.ready_at < counts.oldest_ready_at <= broker.now()
    bench.advance(3600)
    counts = broker.counts("lane")
    assert (counts.waiting, counts.scheduled) == (6, 0)


def test_counts_include_jobs_that_must_run_alone(hands, broker):
    hands.push()
    hands.lose(2)
    counts = broker.counts("lane")
    assert (counts.waiting, counts.active) == (1, 0)
    assert counts.oldest_ready_at is not None


def test_counts_show_a_pause(broker):
    broker.pause("lane")
    assert broker.counts("lane").paused is True


def test_a_closed_broker_opens_again(hands, broker):
    hands.push()
    broker.close()
    assert len(hands.claim()) == 1


def _waiting(hands: Hands, limit: int) -> list[UUID]:
    """All that wait, page by page."""
    ids: list[UUID] = []
    last, is_first = "", True
    while last or is_first:
        page = hands.broker.list_waiting("lane", last, limit)
        assert len(page.jobs) <= limit
        ids.extend(job.id for job in page.jobs)
        last, is_first = page.last, False
    return ids


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_of_what_waits_hold_every_job_that_waits_once(hands, limit):
    due = [hands.push(priority=priority) for priority in (0, 50, -50, 0)]
    at = hands.broker.now() + timedelta(days=1)
    later = [hands.push(delay=100), *(hands.push(at=at) for _ in range(5))]
    hands.push(queue="other")
    hands.push(priority=100)
    active = hands.claim_one()
    found = _waiting(hands, limit)
    assert sorted(found) == sorted([*due, *later])
    assert active.id not in found


def test_a_page_goes_on_behind_a_job_that_is_gone(hands):
    at = hands.broker.now() + timedelta(days=1)
    ids = {hands.push(at=at) for _ in range(6)} | {hands.push() for _ in range(2)}
    first = hands.broker.list_waiting("lane", "", 5)
    hands.broker.cancel("lane", first.jobs[-1].id, "gone")
    second = hands.broker.list_waiting("lane", first.last, 5)
    assert {job.id for page in (first, second) for job in page.jobs} == ids


def test_what_is_listed_is_told_as_it_was_pushed(hands):
    job_id = hands.push(message='{"a": 1}', key="k", scope="org-1", tags=("a", "b"), priority=7)
    (job,) = hands.broker.list_waiting("lane").jobs
    assert (job.id, job.message, job.key, job.scope, job.tags, job.priority) == (
        job_id,
        '{"a": 1}',
        "k",
        "org-1",
        ("a", "b"),
        7,
    )
    assert job == hands.broker.find("lane", job_id)


def test_jobs_are_found_together_while_they_live(hands, broker):
    waiting, running, ended = (hands.push() for _ in range(3))
    jobs = {job.id: job for job in hands.claim(3)}
    hands.settle(jobs[ended])
    hands.settle(jobs[waiting], HandedBack("stopped"), started=False)
    found = broker.find_all("lane", [running, ended, clock.new_id(), waiting])
    assert [(job.id, job.state) for job in found] == [(running, State.ACTIVE), (waiting, State.QUEUED)]
    assert broker.list_active("lane") == (frozenset() if broker.rows_are_the_queue else {running})
