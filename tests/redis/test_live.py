"""Live jobs as people see them when they are in Redis: in lists and on pages, without a row, and with Redis away."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import User
from jobs import BrokerAway, JobHandle, Queue, clock, defined
from jobs.broker import forget_broker
from jobs.broker.records import Completed, Retried
from jobs.broker.redis.broker import RedisBroker
from jobs.history import facts, lookup
from jobs.history.lateness import behind
from jobs.history.status.report import report
from jobs.models import Job
from jobs.operate.cancel import cancel
from jobs.policy import QueuePolicy
from jobs.states import State
from leads.tasks import finish_erasure
from tests.contract.hands import Hands
from tests.leads.people import make_lead, make_organization

pytestmark = pytest.mark.usefixtures("each_database", "redis_is_the_broker")
LIST = "/admin/jobs/job/"
notes = Queue("live_notes")


@notes.task(name="live.note")
def note(text: str) -> None:
    """Only waits."""


@pytest.fixture
def viewer() -> Client:
    user = User.objects.create_user("staff@example.org", is_staff=True)
    names = ("view_job", "cancel_job", "pause_queue", "view_every_scope")
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="jobs", codename__in=names))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def client_of_superuser() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org"))
    return client


@pytest.fixture
def hands(broker: RedisBroker) -> Hands:
    hands = Hands(broker)
    hands.policy = defined.queues()["email"].policy
    hands.worker = hands.new_worker()
    return hands


@pytest.fixture
def away(broker: RedisBroker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From now on nobody reaches Redis."""
    forget_broker()
    gone = RedisBroker("redis://127.0.0.1:1/0", "tests")
    monkeypatch.setattr("jobs.broker._make_broker", lambda: gone)
    yield
    forget_broker()


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def states_listed(client: Client, query: str = "") -> dict[str, str]:
    """By the tail of its id, how a job reads in the admin's list."""
    rows = client.get(LIST + query).context["cl"].result_list
    return {str(row.pk)[-8:]: row.shown_state() for row in rows}


def listed(*words: str) -> dict[str, str]:
    out = io.StringIO()
    call_command("jobs", "list", "--json", *words, stdout=out)
    return {line["id"][-8:]: line["state"] for line in json.loads(out.getvalue())}


def one_of_each(hands: Hands) -> dict[str, str]:
    """A job in each live state; none was merged. By the tail of its id, how it reads."""
    running, again, done = (hands.push() for _ in range(3))
    by_id = {job.id: job for job in hands.claim(3)}
    hands.settle(by_id[again], Retried(3600, "broken"))
    hands.settle(by_id[done], Completed())
    waiting, later = hands.push(), hands.push(delay=3600)
    states = {running: "active", again: "retrying", done: "completed", waiting: "waiting", later: "scheduled"}
    return {str(id)[-8:]: state for id, state in states.items()}


@pytest.mark.parametrize("where", [states_listed, listed], ids=["admin", "command"])
def test_lists_show_jobs_that_had_no_row_in_their_present_state(hands: Hands, viewer: Client, where: object) -> None:
    expected = one_of_each(hands)
    assert not Job.objects.exists()
    assert (states_listed(viewer) if where is states_listed else listed()) == expected


def test_filters_by_state_show_what_is_in_that_state_now(hands: Hands, viewer: Client) -> None:
    expected = one_of_each(hands)
    for state in expected.values():
        some = {id: one for id, one in expected.items() if one == state}
        assert states_listed(viewer, f"?state={state}") == some
        assert listed("--state", state) == some
    queued = {id: one for id, one in expected.items() if one in ("retrying", "waiting", "scheduled")}
    assert states_listed(viewer, "?state=queued") == listed("--state", "queued") == queued


def test_job_that_has_moved_on_since_its_row_was_written_is_left_out_and_that_is_said(
    broker: RedisBroker, hands: Hands, viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = hands.push(delay=3600)
    states_listed(viewer)
    monkeypatch.setattr(facts, "catch_up", lambda *args: 0)
    broker.promote("email", job_id)
    assert "1 job of this page has moved on" in page(viewer, LIST + "?state=scheduled")
    assert states_listed(viewer, "?state=scheduled") == listed("--state", "scheduled") == {}
    assert list(states_listed(viewer).values()) == ["waiting"]


def test_list_says_how_old_the_history_is(hands: Hands, viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    hands.push()
    monkeypatch.setattr("jobs.history.lateness.TOLD_FROM", 0.0)
    monkeypatch.setattr(facts, "catch_up", lambda *args: 0)
    assert "behind: 1 fact waits for it." in page(viewer, LIST)
    out = io.StringIO()
    call_command("jobs", "list", stdout=out)
    assert "behind: 1 fact waits for it." in out.getvalue()


def test_page_of_a_running_job_says_so_and_not_that_its_worker_is_silent(hands: Hands, viewer: Client) -> None:
    job_id = hands.push()
    hands.claim_one()
    text = page(viewer, f"{LIST}{job_id}/change/")
    verdict = text[text.index("page-verdict") :].partition("</p>")[0]
    assert "active</span>" in verdict
    assert "Running for" in verdict
    assert "silent" not in text


def test_live_job_has_a_page_though_the_history_cannot_be_heard(
    hands: Hands, viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = hands.push()
    monkeypatch.setattr(facts, "catch_up", lambda *args: 0)
    assert "Waiting" in page(viewer, f"{LIST}{job_id}/change/")
    assert not Job.objects.exists()


def test_overview_and_status_count_live_jobs_by_their_broker(hands: Hands) -> None:
    one_of_each(hands)
    email = next(row for row in report().queues if row.name == "email")
    assert {state: email.states[state].number for state in (State.QUEUED, State.ACTIVE)} == {
        State.QUEUED: 3,
        State.ACTIVE: 1,
    }


@pytest.fixture
def known(broker: RedisBroker, hands: Hands) -> Job:
    """A job with a row."""
    row = lookup.find_job(hands.push())
    facts.catch_up(broker, hands.policy)
    return Job.objects.get(pk=row.pk)


def test_pages_stand_while_redis_is_away_and_say_so(known: Job, viewer: Client, away: None) -> None:
    sentence = "The broker is away (Redis cannot be reached at"
    assert sentence in page(viewer, "/admin/jobs/")
    assert sentence in page(viewer, LIST)
    assert str(known.pk)[-8:] in page(viewer, LIST + "?state=queued")
    assert sentence in page(viewer, f"{LIST}{known.pk}/change/")
    for address in (f"{LIST}{known.pk}/cancel/", f"{LIST}queues/email/pause/"):
        answer = viewer.post(address, follow=True)
        assert answer.status_code == 200
        assert "Redis cannot be reached" in answer.content.decode()


def test_status_says_that_redis_is_away_and_fails_the_check(away: None) -> None:
    seen = report()
    assert [finding.code for finding in seen.findings if finding.needs_person] == ["broker_away"]
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("jobs", "status", "--check", stdout=out)
    assert out.getvalue().startswith("The broker is away (Redis cannot be reached at")
    call_command("jobs", "status", "--json", stdout=(out := io.StringIO()))
    assert json.loads(out.getvalue())["queues"][0]["due"] is None


def test_handles_of_jobs_that_only_redis_knows_say_that_it_is_away(known: Job, away: None) -> None:
    assert JobHandle(known.pk).state == State.QUEUED
    with pytest.raises(BrokerAway, match="Redis cannot be reached"):
        _ = JobHandle(clock.new_id()).state
    with pytest.raises(BrokerAway, match="Redis cannot be reached"):
        cancel(known.pk)
    with pytest.raises(CommandError, match="Redis cannot be reached"):
        call_command("jobs", "show", str(clock.new_id()))


def test_facts_of_many_bytes_are_counted_as_far_as_some_bytes(broker: RedisBroker, hands: Hands) -> None:
    for _ in range(100):
        hands.push(message='{"args": ["%s"]}' % ("x" * 60_000))
        hands.settle(hands.claim_one(policy=QueuePolicy("email")), Completed())
    lag = broker.lag("email", "")
    assert (lag.more, 50 < lag.facts < 200) == (True, True)
    assert f"{lag.facts}+ facts wait" in behind(lag)


def finding(code: str) -> str:
    (found,) = (finding for finding in report().findings if finding.code == code)
    return found.text


def test_history_that_is_late_is_a_finding_from_a_threshold_on(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from jobs.history.status.finding import LIMITS

    hands.push()
    assert "history_late" not in {finding.code for finding in report().findings}
    seen = report(replace(LIMITS, history_lag=0.0))
    (late,) = (finding for finding in seen.findings if finding.code == "history_late")
    assert late.needs_person
    assert "behind: 1 fact waits for it. See that" in late.text
    assert (seen.history.facts, seen.history_lag > 0) == (1, True)


def test_history_that_is_incomplete_is_a_finding_for_a_day(broker: RedisBroker) -> None:
    broker.most_facts = 64 * 1024
    hands = Hands(broker)
    hands.policy = defined.queues()["notification"].policy
    hands.worker = hands.new_worker()
    hands.push_all([hands.new_job() for _ in range(1_000)])
    while claimed := hands.claim(100):
        hands.exchange(*(hands.settlement(job, Completed()) for job in claimed), wanted=0)
    cut = broker.lag("notification", "").cut
    assert cut > 0
    while facts.catch_up(broker, hands.policy):
        pass
    assert f"of {cut} completed jobs only the count was kept" in finding("history_incomplete")
    old = broker.now() - timedelta(days=1, seconds=1)
    broker._scripts.command("HSET", "notification", "meta", "cut_until", int(old.timestamp() * 1_000_000))
    assert "history_incomplete" not in {finding.code for finding in report().findings}


def test_lead_erased_while_redis_is_away_is_erased_when_it_is_back(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch, client_of_superuser: Client
) -> None:
    lead = make_lead(make_organization(), email="ana@example.org")
    waiting = note.using(delay=3600).enqueue("for ana@example.org")
    with monkeypatch.context() as patch:
        broker.close()
        patch.setitem(broker._server._options, "port", 1)
        answer = client_of_superuser.post(reverse("admin:leads_lead_do", args=[lead.pk, "erase"]))
    page = answer.content.decode()
    assert "The lead counts as erased. Its jobs cannot be reached now: once they can, all is erased." in page
    assert "redis://" not in page
    later = Job.objects.get(task=finish_erasure.name)
    assert later.state == State.PENDING
    finish_erasure.call(*later.args)
    lead.refresh_from_db()
    assert (lead.email, waiting.state, waiting.args) == ("", State.CANCELLED, [])
