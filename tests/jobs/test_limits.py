"""Limits of a queue that are set at run time: `set_limits`, `manage.py jobs limits`, and where they are shown."""

from __future__ import annotations

import json
import threading
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import connection, connections

import jobs
from accounts.models import User
from jobs import AS_IN_CODE, InvalidOption, Queue, RateLimit, UnknownQueue, clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.errors import Refused
from jobs.history.status.report import report
from jobs.keep import limits as forgetting
from jobs.models import Grant, QueueState
from jobs.policy import QueueLimits
from tests.each_broker import each_broker as each_broker

pytestmark = pytest.mark.django_db

lane = Queue("limits_lane", concurrency=4, rate_limit=RateLimit(10, per=1))


def say(*words: str) -> str:
    out = StringIO()
    call_command("jobs", *words, stdout=out)
    return out.getvalue()


def document(*words: str) -> Any:
    return json.loads(say(*words, "--json"))


def test_what_was_set_holds_and_says_where_it_comes_from() -> None:
    held = jobs.set_limits(lane, rate_limit=RateLimit(2, per=5), global_concurrency=3)
    assert (held.rate_limit, held.concurrency, held.global_concurrency) == (RateLimit(2, per=5), 4, 3)
    assert held.set_at_run_time == ("rate_limit", "global_concurrency")
    assert held.in_code == {"rate_limit": RateLimit(10, per=1), "concurrency": 4, "global_concurrency": None}
    assert jobs.limits("limits_lane") == held
    assert get_broker().limits(lane.name) == QueueLimits(RateLimit(2, per=5), AS_IN_CODE, 3)


def test_a_limit_that_is_not_named_stays() -> None:
    jobs.set_limits(lane, concurrency=7)
    jobs.set_limits(lane, rate_limit=None)
    held = jobs.limits(lane)
    assert (held.rate_limit, held.concurrency) == (None, 7)
    jobs.set_limits(lane, rate_limit=AS_IN_CODE)
    held = jobs.limits(lane)
    assert (held.rate_limit, held.set_at_run_time) == (RateLimit(10, per=1), ("concurrency",))


def test_two_who_change_different_limits_at_once_both_have_their_way(each_broker: str) -> None:
    both = threading.Barrier(2)

    def change(**given: Any) -> None:
        both.wait(60)
        jobs.set_limits("email", **given)
        connections.close_all()

    for number in range(2, 22):
        changes = ({"concurrency": number}, {"rate_limit": RateLimit(number, per=1)})
        threads = [threading.Thread(target=change, kwargs=given) for given in changes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert get_broker().limits("email") == QueueLimits(RateLimit(number, per=1), number)


def test_naming_no_limit_changes_nothing_and_leaves_no_line(admin_user: User) -> None:
    assert jobs.set_limits(lane, by=admin_user) == jobs.limits(lane)
    assert not QueueState.objects.filter(queue=lane.name).exists()
    assert not LogEntry.objects.exists()


def test_a_reset_lets_the_code_decide_again(admin_user: User) -> None:
    jobs.set_limits(lane, rate_limit=None, concurrency=7, global_concurrency=1, by=admin_user)
    jobs.reset_limits(lane, by=admin_user)
    assert jobs.limits(lane).set_at_run_time == ()
    assert get_broker().limits(lane.name) == QueueLimits()
    first, last = LogEntry.objects.order_by("pk")
    assert first.change_message == "Limits: rate limit none, concurrency 7, concurrency everywhere 1."
    assert last.object_id == lane.name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"concurrency": 0}, r"concurrency=0: expected a whole number from 1 to 1,000"),
        ({"concurrency": None}, r"concurrency=None: expected a whole number"),
        ({"rate_limit": 5}, r"rate_limit=5: expected RateLimit"),
        ({"global_concurrency": 1.5}, r"global_concurrency=1.5: expected a whole number"),
    ],
)
def test_a_value_that_is_no_limit_is_refused_and_changes_nothing(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidOption, match=said):
        jobs.set_limits(lane, **given)
    assert not QueueState.objects.filter(queue=lane.name).exists()


def test_an_unknown_queue_is_refused() -> None:
    with pytest.raises(UnknownQueue, match="queue 'emial' is not defined"):
        jobs.set_limits("emial", concurrency=3)


def test_the_command_changes_one_queue_and_shows_all() -> None:
    assert "10/1" in say("limits", lane.name)
    changed = document("limits", lane.name, "--rate-limit", "100/m", "--concurrency", "9", "--global-concurrency", "20")
    assert changed["queues"] == [
        {
            "queue": "limits_lane",
            "rate_limit": {"limit": 100, "per": 60},
            "concurrency": 9,
            "global_concurrency": 20,
            "set_at_run_time": ["rate_limit", "concurrency", "global_concurrency"],
            "in_code": {"rate_limit": {"limit": 10, "per": 1}, "concurrency": 4, "global_concurrency": None},
        }
    ]
    jobs.set_limits("email", rate_limit=RateLimit(7, per=2))
    assert "7/2 (in the code: 10/1)" in say("limits")
    jobs.set_limits("email", rate_limit=RateLimit(7, per=2_592_000))
    assert "7/2592000 (in the code: 10/1)" in say("limits")
    say("limits", lane.name, "--rate-limit", "none", "--concurrency", "code", "--global-concurrency", "none")
    held = jobs.limits(lane)
    assert (held.rate_limit, held.concurrency, held.global_concurrency) == (None, 4, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rate-limit", "ten"], "expected a limit like 10/1"),
        (["--rate-limit", "0/1"], "expected a limit like 10/1"),
        (["--concurrency", "none"], "expected a number, or code"),
        (["--global-concurrency", "many"], "expected a number, none, or code"),
        (["--concurrency", "2000"], "expected a whole number from 1 to 1,000"),
    ],
)
def test_the_command_refuses_what_is_no_limit(words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        say("limits", lane.name, *words)


def test_the_command_does_not_change_all_queues_at_once() -> None:
    with pytest.raises(CommandError, match="say which queue"):
        say("limits", "--concurrency", "3")


def test_the_status_tells_of_limits_that_were_changed() -> None:
    assert "limits changed" not in say("status")
    jobs.set_limits("email", concurrency=2)
    assert "limits changed" in say("status")
    row = next(row for row in document("status")["queues"] if row["queue"] == "email")
    assert row["limits"]["set_at_run_time"] == ["concurrency"]
    assert next(row for row in report().queues if row.name == "email").limits == jobs.limits("email")


def test_grants_of_a_limit_that_was_set_are_kept() -> None:
    free = Queue("limits_free_lane")
    jobs.set_limits(free, rate_limit=RateLimit(1, per=172_800))
    long_ago = clock.now().replace(year=2020)
    Grant.objects.create(queue=free.name, number=1, granted_at=long_ago, start_by=long_ago)
    forgetting.run()
    assert Grant.objects.filter(queue=free.name).exists()
    jobs.reset_limits(free)
    forgetting.run()
    assert not Grant.objects.filter(queue=free.name).exists()


@pytest.mark.postgresql
def test_a_concurrency_beyond_the_connections_of_the_server_is_refused() -> None:
    get_broker().register(ProcessRecord(clock.new_id(), "worker", lane.name, "here", 1, 4), 30)
    if connection.vendor != "postgresql":
        assert jobs.set_limits(lane, concurrency=1_000).concurrency == 1_000
        return
    with pytest.raises(Refused, match=r"1000 .* could need 1003 connections, and PostgreSQL allows \d+"):
        jobs.set_limits(lane, concurrency=1_000)
    assert jobs.limits(lane).concurrency == 4
    assert jobs.set_limits(lane, concurrency=6).concurrency == 6
