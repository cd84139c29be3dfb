"""Breakers in a claim: what is held back keeps its place and holds up nobody, and a probe is one job."""

from __future__ import annotations

from dataclasses import replace

from jobs.broker.lanes import lane_of
from jobs.policy import Limit, QueuePolicy, RateLimit

LIMIT = Limit("slow", RateLimit(100, per=10))
CLOSED = QueuePolicy(
    "lane",
    limits={"app.both": (LIMIT,)},
    breakers={"app.mail": ("mail",), "app.bulk": ("mail", "bulk"), "app.both": ("mail",)},
)
OPEN, PROBE = replace(CLOSED, rooms={"mail": 0}), replace(CLOSED, rooms={"mail": 1})


def new(hands, task, group=""):
    return hands.new_job(task=task, group=group, lane=lane_of(group, task, ruled=CLOSED.has_lane(task)))


def claim(hands, policy, wanted=10):
    """Until nothing could start at once: a store may need a look to know what it lacks."""
    jobs = []
    for _ in range(4):
        answer = hands.exchange(wanted=wanted, policy=policy)
        jobs += answer.jobs
        if answer.wait != 0:
            return jobs
    raise AssertionError("it says again and again that something could start at once")


def test_what_an_open_breaker_holds_back_keeps_its_place_and_holds_up_nobody(hands):
    held = [new(hands, task, group) for task in ("app.mail", "app.bulk", "app.both") for group in ("", "a", "b")]
    hands.push_all(held)
    others = [hands.new_job(), hands.new_job(group="a", lane="a"), hands.new_job()]
    hands.push_all(others)
    assert {job.id for job in claim(hands, OPEN)} == {job.id for job in others}
    assert claim(hands, OPEN) == []
    assert {job.id for job in claim(hands, CLOSED)} == {job.id for job in held}


def test_a_probe_is_one_job_whatever_the_tasks_and_the_first_of_those_that_wait(hands):
    hands.push_all([new(hands, task) for task in ("app.bulk", "app.mail", "app.both", "app.mail")])
    held_twice = replace(PROBE, rooms={"mail": 1, "bulk": 0})
    (probe,) = hands.exchange(wanted=10, policy=held_twice).jobs
    assert probe.task == "app.mail"
    assert (probe.attempts, probe.starts) == (0, 0)
    assert [job.task for job in hands.exchange(wanted=10, policy=PROBE).jobs] == ["app.bulk"]
    assert claim(hands, OPEN) == []
    assert len(claim(hands, CLOSED)) == 2
