"""Groups on Redis: what only a store beside the rows can get wrong."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
import redis

from jobs.broker.changes import Change
from jobs.broker.lanes import GroupSettings
from jobs.broker.records import ClaimedJob, HandedBack, KeyMode, KeyRule, Postponed
from jobs.broker.redis.broker import RedisBroker
from jobs.policy import GroupRules, QueuePolicy, RateLimit
from tests.contract.hands import Hands

NAME = "lane"
#: The keys of a queue in which groups leave something while they live.
OF_GROUPS = ("lanes", "held", "group_pace", "group_over", "groups", "turns")


def key(name: str) -> str:
    return f"{{tests:{NAME}}}:{name}"


def grouped(broker: RedisBroker, **rules: object) -> Hands:
    return Hands(broker, policy=QueuePolicy(NAME, groups=GroupRules(**rules)))  # type: ignore[arg-type]


def push(hands: Hands, group: str, **options: object) -> UUID:
    return hands.push(group=group, lane=group, **options)


def names(jobs: Sequence[ClaimedJob]) -> str:
    return "".join(job.group or "-" for job in jobs)


def left_of_groups(client: redis.Redis) -> list[str]:
    return [name for name in OF_GROUPS if client.exists(key(name))]


def test_groups_take_turns_and_plain_jobs_are_one_of_them(hands: Hands) -> None:
    for group in ("b", "b", "b", "a", "c", "", ""):
        push(hands, group)

    assert names(hands.claim(1)) == "-"
    assert names(hands.claim(4)) == "abc-"
    assert names(hands.claim(10)) == "bb"


def test_many_of_one_group_fill_the_slots_in_their_order(hands: Hands) -> None:
    first = [push(hands, "a") for _ in range(30)]
    push(hands, "b")

    jobs = hands.claim(12)

    assert names(jobs) == "ab" + 10 * "a"
    assert [job.id for job in jobs if job.group == "a"] == first[:11]


def test_priority_comes_before_turns_and_each_has_its_own_turn(hands: Hands) -> None:
    for group, priority in (("a", 0), ("a", 0), ("b", 0), ("c", 20), ("c", 20), ("d", 20)):
        push(hands, group, priority=priority)

    assert names(hands.claim(1)) == "c"
    assert names(hands.claim(2)) == "dc"
    assert names(hands.claim(3)) == "aba"


def test_group_whose_name_begins_like_another_is_another(broker: RedisBroker) -> None:
    hands = grouped(broker, concurrency=1)
    for group in ("a", "a", "a b", "a!", "ab", "á"):
        push(hands, group)

    assert [job.group for job in hands.claim(10)] == ["a", "a b", "a!", "ab", "á"]
    assert hands.claim(10) == []


def test_lanes_of_a_group_share_its_turn_and_start_by_their_times(hands: Hands) -> None:
    ids = [hands.push(group="a", lane=lane) for lane in ("a\x1fapp.task", "a", "a\x1fother", "a")]
    alone = [hands.push(lane="\x1fapp.task"), hands.push()]
    push(hands, "b")

    jobs = hands.claim(10)

    assert names(jobs) == "-ab-aaa"
    assert [job.id for job in jobs if job.group == "a"] == ids
    assert [job.id for job in jobs if not job.group] == alone


def test_concurrency_of_a_group_holds_over_workers_and_frees_with_every_end(broker: RedisBroker) -> None:
    hands = grouped(broker, concurrency=2)
    for group in "aaaaab":
        push(hands, group)
    dying = hands.new_worker()

    (first,) = hands.claim(1, worker=dying)
    held = hands.claim(10)
    assert names([first, *held]) == "aba"
    assert hands.exchange().wait is None

    assert hands.release(dying, lost=True) == 1
    jobs = hands.claim(10)
    assert [job.id for job in jobs] == [first.id]
    assert hands.settle(jobs[0], HandedBack("stop"), started=False)
    assert [job.id for job in hands.claim(10)] == [first.id]


def test_rate_of_a_group_holds_for_it_alone_and_an_unstarted_job_gives_its_slot_back(broker: RedisBroker) -> None:
    hands = grouped(broker, rate_limit=RateLimit(2, per=60))
    for group in "aaaab":
        push(hands, group)

    exchange = hands.exchange()
    assert names(exchange.jobs) == "aba"
    assert all(job.start_by is not None and job.grant is not None for job in exchange.jobs)
    assert exchange.wait is not None
    assert 59 < exchange.wait < 61

    assert hands.settle(exchange.jobs[0], HandedBack("late"), started=False)
    assert [job.id for job in hands.claim(10)] == [exchange.jobs[0].id]
    assert hands.claim(10) == []


def test_rate_frees_slots_one_period_after_the_guard(broker: RedisBroker) -> None:
    hands = grouped(broker, rate_limit=RateLimit(1, per=0.05))
    first, second = push(hands, "a"), push(hands, "a")
    assert hands.claim_ids() == [first]
    before = broker.now()

    found: list[ClaimedJob] = []
    while not found:
        found = hands.claim(10)

    assert found[0].id == second
    assert (found[0].claimed_at - before).total_seconds() > 0.05


def test_settings_of_a_group_win_over_the_queues_and_hold_before_its_first_job(broker: RedisBroker) -> None:
    hands = grouped(broker, concurrency=1)
    broker.set_group(NAME, "paused", GroupSettings(paused=True))
    broker.set_group(NAME, "wide", GroupSettings(concurrency=3))
    for group in ("paused", "wide", "wide", "wide", "wide", "x", "x"):
        push(hands, group)

    assert [job.group for job in hands.claim(10)] == ["wide", "x", "wide", "wide"]

    broker.set_group(NAME, "paused", GroupSettings())
    broker.set_group(NAME, "wide", GroupSettings())
    assert [job.group for job in hands.claim(10)] == ["paused"]
    assert [seen.name for seen in broker.groups(NAME)] == ["paused", "wide", "x"]


def test_rate_set_for_one_group_is_kept_where_the_queue_has_none(broker: RedisBroker, hands: Hands) -> None:
    broker.set_group(NAME, "a", GroupSettings(rate_limit=RateLimit(1, per=60)))
    for group in "aab":
        push(hands, group)

    assert names(hands.claim(10)) == "ab"
    (seen, _) = broker.groups(NAME)
    assert seen.settings == GroupSettings(rate_limit=RateLimit(1, per=60))
    assert (seen.waiting, seen.active) == (1, 1)


def test_group_told_to_wait_waits_alone(broker: RedisBroker, hands: Hands) -> None:
    for group in "aab":
        push(hands, group)
    job = hands.claim_one()
    assert hands.settle(job, Postponed(60, "slow down", whole_group=True))

    exchange = hands.exchange()
    assert names(exchange.jobs) == "b"
    assert exchange.wait is not None
    assert 59 < exchange.wait <= 60
    assert broker.groups(NAME)[0].blocked_until is not None

    broker.set_group(NAME, "a", GroupSettings())
    assert names(hands.claim(10)) == "a"


def test_group_that_is_empty_leaves_no_trace(broker: RedisBroker, client: redis.Redis) -> None:
    hands = grouped(broker, concurrency=5, rate_limit=RateLimit(5, per=0.02))
    for group in "aab":
        push(hands, group)
    for job in hands.claim(10):
        assert hands.settle(job)
    assert broker.groups(NAME) == ()

    while left_of_groups(client):
        broker.heal(NAME)


def test_job_moves_with_its_lane_through_every_change(broker: RedisBroker, hands: Hands) -> None:
    later, sooner, cancelled = push(hands, "a", delay=3600), push(hands, "b", delay=3600), push(hands, "a")
    counts = broker.counts(NAME)
    assert (counts.waiting, counts.scheduled) == (1, 2)
    assert [(one.name, one.waiting, one.scheduled) for one in broker.groups(NAME)] == [("a", 1, 1), ("b", 0, 1)]
    assert {job.id for job in broker.list_waiting(NAME).jobs} == {later, sooner, cancelled}

    assert broker.promote(NAME, later)
    broker.change(NAME, sooner, Change(delay=0, priority=20))
    broker.await_ends(NAME, [later])
    broker.cancel(NAME, cancelled, "gone")

    assert {id for ids in broker.live_ids(NAME) for id in ids} == {later, sooner}
    assert [job.id for job in hands.claim(10)] == [sooner, later]


def test_lanes_are_paged_through(broker: RedisBroker, hands: Hands) -> None:
    ids = [push(hands, group) for group in "abcab"] + [push(hands, "a", delay=3600)]
    found, page = [], broker.list_waiting(NAME, limit=2)
    while page.last:
        found += page.jobs
        page = broker.list_waiting(NAME, page.last, limit=2)
    assert sorted(job.id for job in [*found, *page.jobs]) == sorted(ids)

    first = broker.groups(NAME, limit=2)
    assert [seen.name for seen in first] == ["a", "b"]
    assert [seen.name for seen in broker.groups(NAME, after="b", limit=2)] == ["c"]


def test_what_a_foreign_hand_removes_holds_no_groups_room(broker: RedisBroker, client: redis.Redis) -> None:
    hands = grouped(broker, concurrency=1)
    for group in "aabb":
        push(hands, group)
    held = hands.claim(10)
    assert names(held) == "ab"

    client.hdel(key("jobs"), held[0].id.bytes)
    client.hdel(key("active"), held[0].id.bytes)
    assert hands.claim(10) == []
    broker.heal(NAME)
    assert names(hands.claim(10)) == "a"

    client.hdel(key("active"), held[1].id.bytes)
    assert broker.examine(NAME)["stray_hold"] == 1
    broker.examine(NAME, mend=True)
    assert broker.examine(NAME) == {}


def test_record_removed_from_under_a_lane_is_passed_over(broker: RedisBroker, client: redis.Redis) -> None:
    hands = grouped(broker, concurrency=1)
    gone, stays = push(hands, "a"), push(hands, "a")
    client.hdel(key("jobs"), gone.bytes)

    found = hands.claim_ids() or hands.claim_ids()
    assert found == [stays]
    assert broker.counts(NAME).vanished == 1


def test_place_that_an_older_version_has_left_starts_nothing_twice(broker: RedisBroker, client: redis.Redis) -> None:
    """An older version knows no lanes: it writes the record without one, and leaves the place in the lane."""
    hands = grouped(broker, concurrency=1)
    job = push(hands, "a")
    (lane_place,) = client.zrange(key("lanes"), 0, -1)
    record = client.hget(key("jobs"), job.bytes)
    assert record is not None
    assert record[1] == 0x9F
    # of fifteen fields the last four are row, behind, awaited and the lane
    lane = b"\xa1a"
    at = record.index(b"\xc2\xc2\xc2" + lane)
    client.hset(key("jobs"), job.bytes, record[:1] + b"\x9b" + record[2:at] + record[at + 3 + len(lane) :])
    client.zadd(key("waiting"), {lane_place[-24:]: 0})

    assert [claimed.id for claimed in hands.claim(10)] == [job]
    assert hands.claim(10) == []
    assert client.zcard(key("lanes")) == 0
    assert client.zcard(key("held")) == 0


def test_worker_that_is_killed_leaks_no_room(broker: RedisBroker) -> None:
    hands = grouped(broker, concurrency=1, rate_limit=RateLimit(1_000, per=0.01))
    job, lost = push(hands, "a"), 0
    while lost < 3:
        worker = hands.new_worker()
        if claimed := hands.claim(1, worker=worker) or hands.claim(1, worker=worker, alone=True):
            assert claimed[0].id == job
            assert hands.release(worker, lost=True) == 1
            lost += 1
    assert broker.groups(NAME)[0].active == 0


def test_worker_that_falls_silent_leaks_no_room(broker: RedisBroker, client: redis.Redis) -> None:
    hands = grouped(broker, concurrency=1)
    job = push(hands, "a")
    silent = hands.new_worker(lease=0.05)
    assert [claimed.id for claimed in hands.claim(1, worker=silent)] == [job]
    assert hands.claim(10) == []

    while not broker.reap([NAME]).lost:
        pass
    assert client.zcard(key("held")) == 0
    assert hands.claim_ids() == [job]


def test_job_that_must_run_alone_waits_for_its_group(broker: RedisBroker) -> None:
    hands = grouped(broker, concurrency=1)
    suspect = push(hands, "a")
    hands.lose(2)
    held = push(hands, "a")
    assert hands.claim_ids() == [held]

    assert hands.claim_ids(alone=True) == []
    broker.set_group(NAME, "a", GroupSettings(paused=True, concurrency=2))
    assert broker.waits_alone([NAME]) == frozenset()
    broker.set_group(NAME, "a", GroupSettings(concurrency=2))
    assert broker.waits_alone([NAME]) == {NAME}
    assert hands.claim_ids(alone=True) == [suspect]


def test_repeated_exchange_brings_the_same_jobs_and_takes_no_second_turn(broker: RedisBroker) -> None:
    hands = grouped(broker, concurrency=1, rate_limit=RateLimit(5, per=60))
    for group in "abcd":
        push(hands, group)

    first, again = hands.exchange(wanted=2, number=77), hands.exchange(wanted=2, number=77)

    assert first.jobs == again.jobs
    assert names(first.jobs) == "ab"
    assert all(job.grant is not None for job in again.jobs)
    assert names(hands.exchange(wanted=2, number=78).jobs) == "cd"


def test_scripts_that_the_server_has_forgotten_are_sent_again(
    broker: RedisBroker, client: redis.Redis, hands: Hands
) -> None:
    push(hands, "a")
    client.script_flush()
    broker.set_group(NAME, "b", GroupSettings(paused=True))
    client.script_flush()
    assert names(hands.claim(10)) == "a"


def test_wipe_of_a_queue_leaves_what_people_have_asked_of_its_groups(
    broker: RedisBroker, client: redis.Redis, hands: Hands
) -> None:
    broker.set_group(NAME, "a", GroupSettings(paused=True))
    for group in "abb":
        push(hands, group)
    assert hands.settle(hands.claim_one(), Postponed(60, "slow down", whole_group=True))

    assert broker.wipe(NAME, force=True) == 3
    assert left_of_groups(client) == ["groups"]
    assert [(one.name, one.blocked_until) for one in broker.groups(NAME)] == [("a", None)]
    hands.release(hands.worker, lost=False)
    broker.wipe(NAME, force=True, whole=True)
    assert left_of_groups(client) == []


def test_full_server_refuses_a_job_of_a_group_and_lets_one_end(make_server: object) -> None:
    server = make_server(maxmemory="0", **{"maxmemory-policy": "noeviction"})  # type: ignore[operator]
    broker = RedisBroker(server.url(), "tests")
    hands = grouped(broker, concurrency=2)
    for group in "aab":
        push(hands, group)
    held = hands.claim(2)
    with redis.Redis.from_url(server.url()) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(Exception, match="full|memory"):
            push(hands, "a")
        exchange = hands.exchange(*(hands.settlement(job, HandedBack("stop")) for job in held))
        assert all(answer.counted for answer in exchange.settled)
        assert len(exchange.jobs) == 3
        broker.set_group(NAME, "a", GroupSettings(paused=True))
        client.config_set("maxmemory", 0)
    broker.close()


def test_lanes_beyond_what_a_claim_looks_at_come_to_their_turn(broker: RedisBroker) -> None:
    hands = grouped(broker, concurrency=1)
    for start in range(0, 2_500, 500):
        jobs = [hands.new_job(group=f"{i:04}", lane=f"{i:04}") for i in range(start, start + 500) for _ in range(2)]
        hands.push_all(jobs)
    blocked = 0
    while jobs := hands.claim(500):
        blocked += len(jobs)
    assert blocked >= 2_000
    # all that is looked at is blocked, and a lower priority starts all the same
    low = hands.push(priority=-20)
    seen: set[UUID] = set()
    for _ in range(10):
        seen.update(job.id for job in hands.claim(100))
    assert low in seen
    assert blocked + len(seen) == 2_501


def test_key_taken_over_by_another_group_moves_the_job(broker: RedisBroker, hands: Hands) -> None:
    first = push(hands, "a", key="k")
    hands.push(group="b", lane="b", key="k", rule=KeyRule(KeyMode.REPLACE))

    assert [(one.name, one.waiting) for one in broker.groups(NAME)] == [("b", 1)]
    (job,) = hands.claim(10)
    assert (job.id, job.group) == (first, "b")


def test_grants_from_a_time_to_come_count_as_made_now(broker: RedisBroker, client: redis.Redis) -> None:
    hands = grouped(broker, rate_limit=RateLimit(1, per=0.05))
    push(hands, "a")
    push(hands, "a")
    assert names(hands.claim(10)) == "a"
    (grant,) = client.zrange(key("group_pace"), 0, -1)
    far = struct.pack(">Q", int(broker.now().timestamp() * 1e6) + 3_600_000_000)[1:]
    late = b"a\0" + far + grant[9:]
    client.zrem(key("group_pace"), grant)
    client.zadd(key("group_pace"), {late: 0})

    found: list[ClaimedJob] = []
    while not found:
        found = hands.claim(10)
    assert names(found) == "a"


def test_adopted_jobs_count_in_their_groups(broker: RedisBroker) -> None:
    hands = grouped(broker, concurrency=1)
    held = hands.new_job(group="a", lane="a")
    broker.adopt(NAME, [held])
    waits = push(hands, "a")
    assert hands.claim_ids() == []

    assert broker.adopt(NAME, []) == {held.id}
    hands.push_all([replace(held, run=2)])
    assert set(hands.claim_ids()) <= {held.id, waits}
    assert broker.groups(NAME)[0].active == 1
