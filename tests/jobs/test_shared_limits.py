"""`@queue.task(limits=[Limit(...)])`: what is refused, and that jobs keep to it whatever their queue."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from jobs import InvalidPolicy, InvalidTask, Limit, Queue, RateLimit
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.checks import check_jobs
from jobs.clock import new_id
from jobs.defined import queues
from jobs.history.limits import shared_limits

HUBSPOT = Limit("hubspot", RateLimit(2, per=60))


@pytest.mark.parametrize(
    ("name", "rate_limit", "said"),
    [
        ("", RateLimit(1), "a name is letters"),
        ("a b", RateLimit(1), "a name is letters"),
        ("a", 5, "expected RateLimit"),
    ],
)
def test_what_is_no_limit_is_refused(name: str, rate_limit: Any, said: str) -> None:
    with pytest.raises(InvalidPolicy, match=said):
        Limit(name, rate_limit)


@pytest.mark.parametrize("limits", ["hubspot", [RateLimit(1)], [HUBSPOT, Limit("hubspot", RateLimit(3))]])
def test_what_a_task_cannot_have_as_limits_is_refused(limits: Any) -> None:
    lane = Queue("limited_refusals_lane")
    with pytest.raises(InvalidTask, match="expected one Limit or several of different names"):
        lane.task(limits=limits)(lambda: None)


def test_one_name_with_two_rules_is_an_error_at_start_that_names_both_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Queue("limited_first_lane"), Queue("limited_second_lane")

    @first.task(name="limited.first", limits=[HUBSPOT])
    def one() -> None: ...

    @second.task(name="limited.second", limits=[Limit("hubspot", RateLimit(5, per=60))])
    def two() -> None: ...

    both = {**queues(), first.name: first, second.name: second}
    monkeypatch.setattr("jobs.checks.queues", lambda: both)
    (error,) = [found for found in check_jobs() if found.id == "jobs.E018"]
    assert "'hubspot' has two rules: 2/60 of task limited.first and 5/60 of task limited.second" in error.msg
    monkeypatch.setattr("jobs.checks.queues", lambda: {**queues(), first.name: first})
    assert [found for found in check_jobs() if found.id == "jobs.E018"] == []


@pytest.mark.django_db
def test_jobs_of_two_queues_keep_to_it_together_also_under_an_earlier_name(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Queue("limited_lane"), Queue("limited_lane_beside")

    @first.task(name="limited.push", aliases=["limited.old_push"], limits=HUBSPOT)
    def push() -> None: ...

    @second.task(name="limited.pull", limits=[HUBSPOT])
    def pull() -> None: ...

    assert first.policy.limits == {"limited.push": (HUBSPOT,), "limited.old_push": (HUBSPOT,)}
    push.enqueue_many([()] * 2)
    pull.enqueue_many([()] * 3)
    started = []
    for queue in (second, first):
        worker = ProcessRecord(new_id(), "worker", queue.name, "here", 1, 5)
        get_broker().register(worker, 30)
        started.append(get_broker().exchange(worker.id, queue.policy, [], 5, number=1).jobs)
    assert [len(jobs) for jobs in started] == [2, 0]

    monkeypatch.setattr("jobs.history.limits.queues", lambda: {first.name: first, second.name: second})
    (shared,) = shared_limits()
    assert (shared.limit, shared.starts, shared.tasks) == (HUBSPOT, 2, ("limited.pull", "limited.push"))
    out = StringIO()
    call_command("jobs", "limits", stdout=out)
    assert out.getvalue().splitlines()[-1].split() == ["hubspot", "2/60", "2", "limited.pull,", "limited.push"]
    out = StringIO()
    call_command("jobs", "limits", "--json", stdout=out)
    document = {"limit": "hubspot", "rate_limit": {"limit": 2, "per": 60}, "starts_in_period": 2}
    assert json.loads(out.getvalue())["shared"] == [{**document, "tasks": ["limited.pull", "limited.push"]}]
