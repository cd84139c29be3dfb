"""`@queue.task(limits=[Limit(...)])`: what is refused, and that jobs keep to it whatever their queue."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs import Breaker, InvalidPolicy, InvalidTask, Limit, PermanentError, Queue, RateLimit
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


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"name": "a b"}, r"Breaker\('a b'\): a name is letters"),
        ({"failures": 0}, "failures=0: expected a whole number from 1 to 1,000"),
        ({"within": "1"}, "within='1': expected seconds, from 0.1 to 86,400"),
        ({"probe_after": 0}, "probe_after=0: expected seconds"),
        ({"on": "OSError"}, "on='OSError': expected one class of exceptions"),
    ],
)
def test_what_is_no_breaker_is_refused(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidPolicy, match=said):
        Breaker(**{"name": "hubspot", **rule})


def test_of_permanent_errors_only_a_subclass_that_is_named_counts() -> None:
    class Lost(PermanentError):
        pass

    assert not Breaker("a").counts(Lost())
    assert [Breaker("a", on=(OSError, Lost)).counts(error) for error in (Lost(), PermanentError())] == [True, False]


@pytest.mark.parametrize(
    "limits", ["hubspot", [RateLimit(1)], [HUBSPOT, Limit("hubspot", RateLimit(3))], [HUBSPOT, Breaker("hubspot")]]
)
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

    @first.task(name="limited.third", limits=[Breaker("hubspot", failures=9)])
    def three() -> None: ...

    monkeypatch.setattr("jobs.checks.queues", lambda: {first.name: first})
    (error,) = [found for found in check_jobs() if found.id == "jobs.E018"]
    assert "2/60 of task limited.first and 9 failures in 60 s, probe after 30 s of task limited.third" in error.msg
    first.forget_task(three)
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
    (line,) = [line for line in out.getvalue().splitlines() if line.startswith("hubspot")]
    assert line.split() == ["hubspot", "2/60", "2", "limited.pull,", "limited.push"]
    out = StringIO()
    call_command("jobs", "limits", "--json", stdout=out)
    document = {"limit": "hubspot", "rate_limit": {"limit": 2, "per": 60}, "starts_in_period": 2}
    assert json.loads(out.getvalue())["shared"] == [{**document, "tasks": ["limited.pull", "limited.push"]}]


@pytest.mark.django_db
def test_the_command_opens_and_closes_a_breaker_and_the_status_asks_for_a_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane = Queue("limited_breaker_lane")

    @lane.task(name="limited.call", limits=[Breaker("sendgrid")])
    def call() -> None: ...

    monkeypatch.setattr("jobs.history.breakers.queues", lambda: {lane.name: lane})

    def say(*words: str) -> str:
        out = StringIO()
        call_command("jobs", *words, stdout=out)
        return out.getvalue()

    assert say("limits").splitlines()[-1].split()[:3] == ["sendgrid", "closed", "0"]
    assert "opened by hand" in say("limits", "--open", "sendgrid").splitlines()[-1]
    assert "The breaker sendgrid is open" in say("show", str(call.enqueue().id))
    (breaker,) = json.loads(say("limits", "--json"))["breakers"]
    assert (breaker["state"], breaker["by_hand"], breaker["next_probe"]) == ("open", True, None)
    with pytest.raises(CommandError, match="something needs a person"):
        say("status", "--check")
    assert "breaker_open" in say("status", "--json")
    say("limits", "--close", "sendgrid")
    assert "breaker_open" not in say("status", "--json")
    with pytest.raises(CommandError, match="breaker 'nobody' is not defined; breakers are: sendgrid"):
        say("limits", "--open", "nobody")
