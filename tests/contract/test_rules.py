"""What becomes of a job whose key is held, where it has a rule for that: throttle, debounce, replace, rerun."""

import pytest

from jobs.broker.records import Completed, Failed, GivenUp, KeyMode, KeyRule, PushStatus, Retried
from jobs.states import State

THROTTLE, DEBOUNCE = KeyRule(KeyMode.THROTTLE, 60), KeyRule(KeyMode.DEBOUNCE, 5)
REPLACE, RERUN = KeyRule(KeyMode.REPLACE), KeyRule(KeyMode.RERUN)
NEVER_LOST = pytest.mark.parametrize("rule", [DEBOUNCE, REPLACE, RERUN], ids=lambda rule: rule.mode)


def ruled(hands, rule, message="{}", **options):
    if rule.mode is KeyMode.DEBOUNCE:
        options.setdefault("delay", rule.seconds)
    return hands.new_job(key="k", rule=rule, message=message, **options)


def push(hands, rule, message="{}", **options):
    job = ruled(hands, rule, message, **options)
    return job, hands.push_all([job])[0]


def test_first_of_a_throttle_answers_for_the_others_until_its_window_ends(hands, broker, bench):
    first, answer = push(hands, THROTTLE)
    assert answer.status is PushStatus.ACCEPTED
    second = push(hands, THROTTLE)[1]
    assert (second.status, second.holder) == (PushStatus.DUPLICATE, first.id)
    hands.settle(hands.claim_one())
    bench.advance(59)
    assert push(hands, THROTTLE)[1].holder == first.id == broker.holder("lane", "k")
    # who does not ask for it is not throttled, and one that is answered begins no window
    plain = hands.push_one(key="k")
    assert plain.status is PushStatus.ACCEPTED
    assert push(hands, THROTTLE)[1].holder == plain.id or hands.push_one(key="k").holder == plain.id
    hands.settle(hands.claim_one())
    bench.advance(2)
    assert broker.holder("lane", "k") is None
    assert push(hands, THROTTLE)[1].status is PushStatus.ACCEPTED


def test_throttle_whose_first_job_still_lives_is_answered_with_it(hands, bench):
    first, _ = push(hands, THROTTLE)
    bench.advance(61)
    assert push(hands, THROTTLE)[1].holder == first.id


def test_first_of_one_call_is_throttled_alone_and_said_again_it_is_known(hands):
    jobs = [ruled(hands, THROTTLE), ruled(hands, THROTTLE)]
    answers = hands.push_all(jobs)
    assert [answer.status for answer in answers] == [PushStatus.ACCEPTED, PushStatus.DUPLICATE]
    assert [answer.status for answer in hands.push_all(jobs)] == [PushStatus.KNOWN, PushStatus.DUPLICATE]
    assert hands.claim_ids() == [jobs[0].id]


def test_debounced_job_is_due_after_the_quiet_time_with_the_last_arguments(hands, bench):
    first, _ = push(hands, DEBOUNCE, '{"n":1}')
    for n in (2, 3):
        bench.advance(4)
        _, answer = push(hands, DEBOUNCE, f'{{"n":{n}}}', priority=7, scope="org", tags=("a",))
        assert (answer.status, answer.holder) == (PushStatus.MERGED, first.id)
        assert hands.claim_ids() == []
    bench.advance(4)
    assert hands.claim_ids() == []
    bench.advance(1.1)
    job = hands.claim_one()
    assert (job.id, job.message, job.priority, job.scope, job.tags) == (first.id, '{"n":3}', 7, "org", ("a",))
    assert hands.claim_ids() == []


def test_replaced_job_has_the_due_time_and_the_expiry_of_the_new_call_and_a_rerun_keeps_its_due_time(hands, broker):
    first, _ = push(hands, RERUN, '{"n":1}', delay=60)
    assert push(hands, RERUN, '{"n":2}')[1].status is PushStatus.MERGED
    found = broker.find("lane", first.id)
    assert (found.message, found.expires_at) == ('{"n":2}', None)
    assert hands.claim_ids() == []
    assert push(hands, REPLACE, '{"n":3}', expires_in=30)[1].holder == first.id
    found = broker.find("lane", first.id)
    assert (found.message, found.expires_at is None) == ('{"n":3}', False)
    assert hands.claim_ids() == [first.id]


@NEVER_LOST
def test_call_while_the_job_runs_makes_one_more_that_starts_after_its_end_with_the_last_arguments(hands, bench, rule):
    first, _ = push(hands, rule, '{"n":1}')
    bench.advance(6)
    running = hands.claim_one()
    second, answer = push(hands, rule, '{"n":2}')
    assert (answer.status, answer.holder) == (PushStatus.BEHIND, first.id)
    third, answer = push(hands, rule, '{"n":3}')
    assert (answer.status, answer.holder) == (PushStatus.MERGED, second.id)
    bench.advance(6)
    assert hands.claim_ids() == []
    assert hands.push_one(key="k").holder == first.id
    # said again, by the relay, it waits still
    assert hands.push_all([second])[0].status in (PushStatus.KNOWN, PushStatus.BEHIND)
    assert hands.settle(running)
    hands.push_all([second])
    job = hands.claim_one()
    assert (job.id, job.message, job.key) == (second.id, '{"n":3}', "k")
    assert hands.push_one(key="k").holder == second.id
    assert hands.settle(job)
    assert hands.claim_ids() == []
    assert [bench.record(one.id).state for one in (first, second)] == [State.COMPLETED] * 2
    assert bench.record(third.id) is None
    assert bench.counters("lane") == {"completed": 2}


@pytest.mark.parametrize(
    "outcome", [Completed(), Failed("broken"), GivenUp("no need")], ids=lambda one: type(one).__name__
)
def test_every_ending_lets_the_next_one_start(hands, outcome):
    push(hands, RERUN)
    running = hands.claim_one()
    second, _ = push(hands, RERUN)
    hands.settle(running, outcome)
    hands.push_all([second])
    assert hands.claim_ids() == [second.id]


def test_next_one_starts_behind_a_retry_and_takes_over_what_is_said_meanwhile(hands, broker):
    first, _ = push(hands, RERUN, '{"n":1}')
    running = hands.claim_one()
    second, _ = push(hands, RERUN, '{"n":2}')
    hands.settle(running, Retried(0, "broken"))
    assert push(hands, RERUN, '{"n":3}')[1].holder == second.id
    hands.push_all([second])
    again = hands.claim_one()
    assert (again.id, again.message) == (first.id, '{"n":1}')
    broker.release(hands.record(hands.worker), lost=True)
    broker.cancel("lane", first.id, "why")
    hands.push_all([second])
    hands.worker = hands.new_worker()
    last = hands.claim_one()
    assert (last.id, last.message) == (second.id, '{"n":3}')


def test_next_one_that_is_cancelled_leaves_the_key_to_the_holder(hands, broker):
    first, _ = push(hands, RERUN)
    running = hands.claim_one()
    second, _ = push(hands, RERUN)
    assert broker.cancel("lane", second.id, "why") is not None
    assert hands.push_one(key="k").holder == first.id
    third, answer = push(hands, RERUN)
    assert answer.status is PushStatus.BEHIND
    hands.settle(running)
    hands.push_all([third])
    assert hands.claim_ids() == [third.id]


def test_jobs_of_one_call_are_one_job_with_the_last_arguments(hands):
    jobs = [ruled(hands, REPLACE, f'{{"n":{n}}}', priority=n) for n in range(3)]
    answers = hands.push_all(jobs)
    assert [answer.status for answer in answers] == [PushStatus.ACCEPTED, PushStatus.MERGED, PushStatus.MERGED]
    claimed = hands.claim_one()
    assert (claimed.id, claimed.message, claimed.priority) == (jobs[0].id, '{"n":2}', 2)
    behind = [ruled(hands, REPLACE, f'{{"n":{n}}}') for n in range(3)]
    answers = hands.push_all(behind)
    assert [answer.status for answer in answers] == [PushStatus.BEHIND, PushStatus.MERGED, PushStatus.MERGED]
    hands.settle(claimed)
    hands.push_all(behind[:1])
    assert hands.claim_one().message == '{"n":2}'


def test_history_holds_what_a_job_took_over(hands, broker, bench):
    from jobs.models import Job

    first, _ = push(hands, REPLACE, '{"n":1}', delay=60)
    bench.record(first.id)
    push(hands, REPLACE, '{"n":2}', delay=30, priority=3, about=("leads.lead", "7"), tags=("t",))
    assert bench.record(first.id).state is State.QUEUED
    row = Job.objects.get(pk=first.id)
    assert (row.message, row.stored_priority, row.about_id, row.tags) == ('{"n":2}', 3, "7", '["t"]')
    assert abs((row.ready_at - broker.now()).total_seconds() - 30) < 10


def test_only_its_owner_releases_a_key_and_who_waits_behind_gets_it(hands, broker, bench):
    first, _ = push(hands, RERUN)
    assert broker.holder("lane", "k") == first.id
    running = hands.claim_one()
    second, _ = push(hands, RERUN)
    assert not broker.release_key("lane", "k", second.id)
    assert not broker.release_key("lane", "other", first.id)
    assert broker.holder("lane", "k") == first.id
    assert broker.release_key("lane", "k", first.id)
    assert not broker.release_key("lane", "k", first.id)
    hands.push_all([second])
    assert broker.holder("lane", "k") == second.id
    assert bench.record(first.id).state is State.ACTIVE or True
    assert hands.settle(running)
    assert broker.holder("lane", "k") == second.id
    assert [bench.record(one.id).state for one in (first, second)] == [State.COMPLETED, State.QUEUED]


def test_released_key_ends_a_throttle(hands, broker):
    first, _ = push(hands, THROTTLE)
    hands.settle(hands.claim_one())
    assert broker.holder("lane", "k") == first.id
    assert broker.release_key("lane", "k", first.id)
    assert broker.holder("lane", "k") is None
    assert push(hands, THROTTLE)[1].status is PushStatus.ACCEPTED


def test_next_run_of_a_dead_letter_is_refused_while_another_job_holds_the_key(hands):
    dead = hands.fail_one(key="k")
    holder, _ = push(hands, RERUN)
    answer = hands.push_all([hands.new_job(id=dead, run=2, key="k")])[0]
    assert (answer.status, answer.holder) == (PushStatus.DUPLICATE, holder.id)
