"""A group takes no more jobs than may wait, whoever pushes at the same time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from jobs.broker.records import KeyMode, KeyRule, PushStatus, Retried
from jobs.errors import GroupFull
from tests.contract.test_groups import bench as bench
from tests.contract.test_groups import hands as hands


def test_a_push_that_would_make_a_group_too_large_takes_nothing(hands):
    broker = hands.broker
    hands.push_each("aab", group_max=2)
    with pytest.raises(GroupFull, match=r"group 'a' of queue 'lane' may have 2 jobs that wait") as raised:
        hands.push_each("ba", group_max=2)
    assert (raised.value.queue, raised.value.group, raised.value.most) == ("lane", "a", 2)
    with pytest.raises(GroupFull):
        # of whichever task and priority
        hands.push_all([replace(hands.new_job("a", priority=7, group_max=2), lane="a\x1fapp.task")])
    assert [broker.count_group("lane", group, 10) for group in ("a", "b", "c")] == [2, 1, 0]
    assert broker.count_group("lane", "a", 1) == 1
    # the names of others that begin so are others
    hands.push_each(["a b", "aa"], group_max=1)
    # one that is known already, and one that takes over what another says, make it no larger
    (known,) = hands.claim(1)
    again = hands.new_job("a", id=known.id, group_max=2)
    assert [told.status for told in hands.push_all([again])] == [PushStatus.KNOWN]
    hands.push(group="a", key="k", group_max=2)
    told = hands.push_one(group="a", key="k", rule=KeyRule(KeyMode.REPLACE), group_max=2)
    assert told.status is PushStatus.MERGED


def test_what_is_there_already_is_never_refused(hands, bench):
    hands.push_each("a", group_max=1)
    (job,) = hands.claim(1)
    hands.push_each("a", group_max=1)
    assert hands.settle(job, Retried(0.0, "broken"))
    assert hands.broker.count_group("lane", "a", 10) == 2
    # nor what is to come, and it counts when it is due
    hands.push_each("b", delay=5.0, group_max=1)
    hands.push_each("b", group_max=1)
    assert hands.broker.count_group("lane", "b", 10) == 1
    bench.advance(6)
    assert hands.broker.count_group("lane", "b", 10) == 2
    with pytest.raises(GroupFull):
        hands.push_each("b", group_max=2)
    # a row of the outbox says nothing of it
    hands.push_each("b")
    assert hands.broker.count_group("lane", "b", 10) == 3


def test_many_who_push_at_once_never_make_it_too_large(hands):
    def push(_number):
        try:
            return len(hands.push_each("aa", group_max=15))
        except GroupFull:
            return 0

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(push, range(24)))
    assert taken == hands.broker.count_group("lane", "a", 100) == 14
