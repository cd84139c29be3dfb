"""What Redis has and the rows have not: keys, forgetting, a word for who sleeps, facts."""

import re
import threading
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from jobs import clock
from jobs.broker.contract import LOSS_RULES
from jobs.broker.facts import Lag, Step
from jobs.broker.records import (
    CancelAnswer,
    Completed,
    Failed,
    GivenUp,
    HandedBack,
    LivingRow,
    PushStatus,
    Retried,
)
from jobs.broker.redis import scripts
from jobs.broker.redis.broker import RedisBroker
from jobs.errors import BrokerAway
from jobs.policy import QueuePolicy, RateLimit
from jobs.states import MOVES, State
from tests.contract.hands import Hands

LUA = Path(scripts.__file__).with_name("lua")


def test_every_script_says_what_it_does_and_touches_keys_that_it_declares_only():
    for path in LUA.glob("*.lua"):
        text = path.read_text()
        assert text.startswith("-- "), path.name
        if path.name == "note.lua":  # of no queue
            assert set(re.findall(r"call\('[A-Z]+', ([^,)]+)", text)) == {"KEYS[1]", "KEYS[2]"}
            continue
        if path.name == "reserve.lua":  # of a limit that queues share
            assert set(re.findall(r"call\('[A-Z]+', ([^,)]+)", text)) == {"pace"}
            continue
        assert "--:include queue" in text, path.name
        words = re.findall(
            r"call\('[A-Z]+', (?:'STREAM', )?([^,)]+)", text + "".join(part.read_text() for part in LUA.glob("parts/*"))
        )
        assert set(words) <= {*scripts.KEYS, "order", "key"}, path.name


def test_the_rules_of_losses_are_those_of_the_contract():
    text = (LUA / "parts" / "record.lua").read_text()
    assert f"ALONE_AFTER, DEAD_AFTER = {LOSS_RULES.alone_after}, {LOSS_RULES.dead_after}" in text


def test_the_scripts_know_no_state_that_the_table_of_moves_does_not_allow():
    text = "".join(path.read_text() for path in LUA.rglob("*.lua"))
    ends = set(re.findall(r"finish\([^)]*'([a-z]+)'", text)) | set(re.findall(r"state(?:, failed)? = '([a-z]+)'", text))
    assert ends <= {str(state) for state in MOVES[State.ACTIVE] | MOVES[State.QUEUED]}


def test_all_keys_lie_under_the_tag_of_their_queue(client, hands):
    policy = QueuePolicy("lane", rate_limit=RateLimit(5, per=1))
    hands.push(key="k", expires_in=100)
    hands.push(delay=100)
    claimed = hands.claim_one(policy=policy)
    hands.broker.cancel("lane", claimed.id, "why")
    hands.broker.pause("lane")
    assert {key.decode().split("}")[0] for key in client.scan_iter()} == {"{tests:lane", "{tests:_"}


def test_a_namespace_kept_in_another_layout_is_refused_in_one_sentence(server, client, hands):
    hands.push()
    assert client.hget("{tests:_}:meta", "layout") == b"%d" % scripts.LAYOUT
    client.hset("{tests:_}:meta", "layout", scripts.LAYOUT + 1)
    with pytest.raises(BrokerAway, match=f"namespace 'tests' are kept in layout {scripts.LAYOUT + 1}") as caught:
        RedisBroker(server.url(), "tests").now()
    assert caught.value.undone
    assert RedisBroker(server.url(), "others").now()


@pytest.mark.parametrize("alone", [False, True])
def test_jobs_of_one_time_start_in_the_order_of_the_bytes_of_their_ids(hands, alone):
    ids = [UUID(bytes=bytes([byte]) * 16) for byte in (0, 10, 66, 97, 128, 195, 255)]
    hands.push_all([hands.new_job(id=id) for id in reversed(ids)])
    if alone:
        for _ in range(2):
            worker = hands.new_worker()
            assert len(hands.claim(worker=worker)) == len(ids)
            hands.release(worker, lost=True)
    assert [job.id for job in hands.broker.list_waiting("lane").jobs] == ids
    assert hands.claim_ids(alone=alone) == ids


def test_two_namespaces_on_one_server_see_nothing_of_each_other(server, hands):
    other = Hands(RedisBroker(server.url(), "others"))
    job_id = hands.push(key="k")
    assert other.claim() == []
    assert other.broker.find("lane", job_id) is None
    assert other.push_one(key="k").status is PushStatus.ACCEPTED
    assert hands.claim_ids() == [job_id]
    other.broker.close()


def test_a_push_tells_the_generation_and_counts_on_until_the_server_is_wiped(client, hands, broker):
    first, second = (broker.push("lane", [hands.new_job()]) for _ in range(2))
    assert (first.generation, second.generation) == (first.generation, first.generation)
    assert (first.sequence, second.sequence) == (1, 2)
    client.flushall()
    third = broker.push("lane", [hands.new_job()])
    assert third.generation not in {"", first.generation}
    assert third.sequence == 1


def test_a_token_does_not_come_again_after_the_server_was_wiped(client, hands):
    job = hands.new_job()
    hands.push_all([job])
    old = hands.claim_one()
    client.flushall()
    hands.worker = hands.new_worker()
    hands.push_all([job])
    new = hands.claim_one()
    assert new.id == old.id
    assert new.token != old.token
    assert not hands.settle(old)


def test_jobs_read_from_the_outbox_more_than_ten_seconds_ago_are_refused(hands, broker):
    job, now = hands.new_job(), broker.now()
    with pytest.raises(BrokerAway, match="too long ago") as caught:
        broker.push("lane", [job], now - timedelta(seconds=11))
    assert caught.value.undone
    assert broker.find("lane", job.id) is None
    assert broker.push("lane", [job], now - timedelta(seconds=5)).answers[0].status is PushStatus.ACCEPTED


def test_an_id_is_known_until_the_facts_of_its_end_are_forgotten(hands, broker):
    job = hands.new_job()
    hands.push_all([job])
    accepted = broker.read_facts("lane", "", "", 10)
    hands.settle(hands.claim_one())
    broker.forget_facts("lane", accepted.generation, accepted.last)
    assert hands.push_all([job])[0].status is PushStatus.KNOWN
    ended = broker.read_facts("lane", "", "", 10)
    broker.forget_facts("lane", ended.generation, ended.last)
    assert hands.push_all([job])[0].status is PushStatus.ACCEPTED


def test_what_a_later_run_ended_as_is_not_forgotten_with_an_earlier_one(hands, broker):
    job_id = hands.fail_one()
    first = broker.read_facts("lane", "", "", 10)
    hands.push(id=job_id, run=2)
    hands.settle(hands.claim_one(), Failed("again"))
    broker.forget_facts("lane", first.generation, first.last)
    assert hands.push_one(id=job_id, run=2).status is PushStatus.KNOWN


def test_a_key_whose_job_has_vanished_is_free_again(client, hands):
    holder = hands.push(key="k")
    client.hdel("{tests:lane}:jobs", holder.bytes)
    assert hands.push_one(key="k").status is PushStatus.ACCEPTED


def test_a_job_whose_record_has_vanished_hides_no_other(client, hands):
    gone, there = hands.push(), hands.push()
    client.hdel("{tests:lane}:jobs", gone.bytes)
    assert hands.claim_ids(1) == []
    assert hands.claim_ids(1) == [there]


def test_facts_tell_of_every_step_in_order_and_from_any_position(hands, broker):
    job_id = hands.push(message='{"a": 1}', scope="org-1")
    hands.settle(hands.claim_one(), Retried(0, "broken"))
    hands.settle(hands.claim_one(), HandedBack("stopping"))
    first = broker.read_facts("lane", "", "", 2)
    assert [fact.step for fact in first.facts] == [Step.ACCEPTED, Step.SETTLED]
    hands.settle(hands.claim_one(), Completed("1"))
    rest = broker.read_facts("lane", first.generation, first.last, 10)
    assert [fact.state for fact in rest.facts] == [State.QUEUED, State.COMPLETED]
    end = rest.facts[-1]
    assert (end.job, end.before.job.message, end.before.job.scope, end.before.attempts) == (
        job_id,
        '{"a": 1}',
        "org-1",
        1,
    )
    assert (end.start.result, end.start.burns) == ("1", 1)
    assert broker.read_facts("lane", rest.generation, rest.last, 10).facts == ()
    again = broker.read_facts("lane", "another", rest.last, 10)
    assert [fact.state for fact in again.facts] == [State.QUEUED, State.QUEUED, State.COMPLETED]


def test_the_lag_is_the_age_of_the_oldest_fact_that_is_not_held(hands, broker):
    assert broker.lag("lane", "") == Lag()
    hands.push()
    time.sleep(0.02)
    lag = broker.lag("lane", "")
    assert 0.01 < lag.seconds < 60
    assert lag.facts == 1
    assert broker.lag("lane", broker.read_facts("lane", "", "", 10).last) == Lag()


def test_accepted_jobs_are_told_when_they_have_lived_for_a_while(hands, broker):
    def told(**options):
        nonlocal after
        page = broker.read_facts("lane", *after, 100, **options)
        after = page.generation, page.last
        return [(fact.step, fact.job) for fact in page.facts]

    after, ids = ("", ""), [hands.push() for _ in range(3)]
    assert told(age=60) == []
    hands.settle(hands.claim_one())
    assert told(age=60) == [(Step.SETTLED, ids[0])]
    # whoever wants to know it now is told at once
    assert told() == [(Step.ACCEPTED, job) for job in ids[1:]]
    later = hands.push()
    assert told(age=0.3) == []
    wait_until(lambda: told(age=0.3) == [(Step.ACCEPTED, later)])
    assert told() == []


def test_accepted_jobs_that_were_read_and_not_noted_are_told_again(hands, broker):
    job = hands.push()
    for _ in range(2):
        broker.read_facts("lane", "", "", 100, age=60)
    page = broker.read_facts("lane", "", "", 100)
    assert {fact.job for fact in page.facts} == {job}


def accepted_facts_aside(facts):
    return [fact for fact in facts if fact.step is not Step.ACCEPTED]


def test_a_job_is_dropped_only_if_enough_jobs_have_surely_ended_later(hands, broker):
    def kept(keep):
        page = broker.read_facts("lane", "", "", 100, keep={State.COMPLETED: keep})
        told = {fact.job.hex for fact in accepted_facts_aside(page.facts)}
        assert not told & {id for one in page.dropped for id in one.ids}
        return [ids.index(id) for id in sorted(told, key=ids.index)]

    ids = [hands.push().hex for _ in range(6)]
    first, second, third, *rest = (hands.claim_one() for _ in ids[:4])
    hands.settle(first)
    hands.exchange(*(hands.settlement(job, Completed()) for job in (second, third)), wanted=0)
    # each that is active may have ended before them
    assert kept(1) == [0, 1, 2]
    hands.settle(rest[0])
    assert kept(1) == [0, 1, 2, 3]
    hands.settle(hands.claim_one())
    assert kept(1) == [4]
    hands.settle(hands.claim_one())
    assert kept(1) == [5]
    assert kept(2) == [4, 5]
    assert kept(6) == [0, 1, 2, 3, 4, 5]
    assert kept(0) == []
    assert broker.read_facts("lane", "", "", 100, keep={State.CANCELLED: 0}).dropped == ()


def test_dropped_jobs_are_counted_as_the_others_are(hands, broker):
    for _ in range(3):
        hands.push()
    claimed = hands.claim(3)
    hands.settle(claimed[0])
    hands.settle(claimed[1], GivenUp("no need"))
    broker.cancel("lane", claimed[2].id, "why")
    hands.release(hands.worker, lost=True)
    (counts,) = broker.read_facts("lane", "", "", 9, keep={State.COMPLETED: 0, State.CANCELLED: 0}).counted.values()
    found = {(cell.task, cell.outcome, cell.ran >= 0): sums.jobs for cell, sums in counts}
    task = claimed[0].task
    assert found == {
        (task, "completed", True): 1,
        (task, "cancelled", True): 1,
        (task, "cancelled", False): 1,
        (task, "lost", False): 1,
    }


def test_facts_that_cost_a_row_wait_while_others_come_in_quick_succession(hands, broker):
    hands.push()
    after = broker.read_facts("lane", "", "", 9)
    after = after.generation, after.last
    hands.settle(hands.claim_one())
    page = broker.read_facts("lane", *after, 9, calm=60)
    assert (page.facts, page.calm, page.more, page.last) == ((), True, False, after[1])
    # what leaves no row need not wait, and nothing waits once it is quiet
    assert broker.read_facts("lane", *after, 9, calm=60, keep={State.COMPLETED: 0}).dropped
    wait_until(lambda: len(broker.read_facts("lane", *after, 9, calm=60).facts) == 1)


def wait_until(is_so):
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_who_sleeps_hears_of_a_push_at_once(server, hands, broker):
    heard, began = [], threading.Event()

    def listen():
        began.set()
        heard.append((broker.wait_for_hint("lane", 60), time.monotonic()))

    thread = threading.Thread(target=listen)
    thread.start()
    began.wait()
    time.sleep(0.05)
    pushed = time.monotonic()
    hands.push()
    thread.join(60)
    assert heard[0][0] is True
    assert heard[0][1] - pushed < 20


def test_a_word_that_came_while_nobody_waited_is_heard_once(hands, broker):
    hands.push()
    hands.push()
    assert broker.wait_for_hint("lane", 0.05) is True
    assert broker.wait_for_hint("lane", 0.05) is False


def test_a_claim_that_leaves_jobs_behind_sends_word_to_the_next(hands, broker):
    for _ in range(3):
        hands.push()
    assert broker.wait_for_hint("lane", 0.05) is True
    hands.claim(1)
    assert broker.wait_for_hint("lane", 0.05) is True
    hands.claim(2)
    assert broker.wait_for_hint("lane", 0.05) is False


def test_a_wait_ends_on_time_although_the_servers_own_timeouts_are_late(broker):
    broker.wait_for_hint("lane", 0.01)
    late = []
    for _ in range(30):  # another process may have the processor
        began = time.monotonic()
        broker.wait_for_hint("lane", 0.03)
        late.append(time.monotonic() - began - 0.03)
        if late[-1] < 0.02:
            break
    assert min(late) < 0.02


def test_a_process_may_be_renewed_by_another_process(server, hands):
    other = RedisBroker(server.url(), "tests")
    assert other.renew([hands.worker, clock.new_id()], 30).alive == {hands.worker}
    other.close()


def test_full_server_takes_no_new_job_and_all_else_that_lets_it_drain(client, hands, broker):
    running, _waits = hands.push(), hands.push(delay=3600)
    claimed, second = hands.claim_one(), hands.push()
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(BrokerAway, match="Redis is full"):
            hands.push()
        worker = hands.new_worker()
        assert broker.renew([hands.worker, worker], 30).alive == {hands.worker, worker}
        broker.report_trouble(worker, "too many clients")
        assert len(broker.processes()) == 2
        broker.reap(["lane"])
        broker.pause("lane")
        broker.resume("lane")
        assert broker.cancel("lane", running, "why") == CancelAnswer.ASKED
        assert broker.mend("lane", [LivingRow(second, 1, 1, 1, 0)]) == frozenset()
        life = broker.life("lane", "", "")
        assert broker.read_facts("lane", "", "", 10).generation == life.generation
        assert hands.settle(claimed, Retried(0, "broken"))
        job = hands.claim_one()
        assert (job.id, job.attempts) == (second, 1)
        assert hands.settle(job)
        broker.release(hands.record(worker), lost=False)
    finally:
        client.config_set("maxmemory", 0)
