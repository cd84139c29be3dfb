"""All jobs that match the list's filter: asked about, stated as an operation, worked off by keepers, stopped."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import Membership, User
from jobs import clock, erase_jobs
from jobs.errors import BrokerAway, Refused
from jobs.keep import operations as duty
from jobs.models import Job, Operation
from jobs.operate import operations
from jobs.operate.discard import discard
from jobs.operate.operations import Listed, all_operations, begin, work
from tests.leads.people import make_organization

from .conftest import LIST, MakeClient, MakeJob

PAGE = "/admin/jobs/operation/"


def ask(client: Client, name: str, query: str, **answer: str) -> Any:
    data = {"action": f"{name}_selected", "index": "0", "select_across": "1", "_selected_action": [str(UUID(int=1))]}
    return client.post(f"{LIST}{query}", {**data, **answer})


def confirm(client: Client, name: str, query: str, **answer: str) -> Operation:
    """Ask, and say yes."""
    question = ask(client, name, query)
    assert question.status_code == 200
    answered = ask(client, name, query, upto=str(question.context["upto"]), **answer)
    operation = Operation.objects.order_by("-pk")[0]
    assert answered.headers["Location"] == f"{PAGE}{operation.pk}/change/"
    return operation


def states(jobs: list[Job]) -> set[str]:
    return set(Job.objects.filter(pk__in=[job.pk for job in jobs]).values_list("state", flat=True))


def pieces(number: int) -> Any:
    """`go_on` for so many."""
    left = [True] * number
    return lambda: bool(left) and left.pop()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("retry", "failed", "pending"), ("cancel", "queued", "cancelled"), ("discard", "failed", "cancelled")],
)
def test_all_that_match_are_asked_about_and_done_by_the_keeper(
    client_with: MakeClient, make_job: MakeJob, name: str, before: str, after: str
) -> None:
    client = client_with("view_job", f"{name}_job")
    meant = [make_job(queue="lead", state=before) for _ in range(3)]
    others = [make_job(queue="email", state=before), make_job(queue="lead", state="completed")]
    question = ask(client, name, "?queue=lead")
    assert "3 jobs match the filter" in " ".join(question.content.decode().split())
    newcomer = make_job(queue="lead", state=before)
    ask(client, name, "?queue=lead", upto=str(question.context["upto"]))
    assert states([*meant, newcomer]) == {before}, "nothing is done in the request"
    assert duty.run() == 3
    assert (states(meant), states(others), states([newcomer])) == ({after}, {before, "completed"}, {before})
    operation = Operation.objects.get()
    assert (operation.total, operation.done, operation.ended_at is None) == (3, 3, False)
    shown = client.get(f"{PAGE}{operation.pk}/change/").content.decode()
    assert "3 of 3 done" in shown
    assert set(LogEntry.objects.values_list("user", flat=True)) == {User.objects.get().pk}


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("?state=failed", {}),
        ("?task=test.task&state=failed", {"task": "test.task"}),
        ("?since=1h", {}),
        ("?about=leads.lead:7", {"about_type": "leads.lead", "about_id": "7"}),
        (f"?event_id={UUID(int=7)}", {"event_id": UUID(int=7)}),
        (f"?parent_id={UUID(int=7)}", {"parent_id": UUID(int=7)}),
        (f"?cause={'c' * 16}", {"cause": "c" * 16}),
        ("?q=Boom", {"error": "Boom: no"}),
    ],
)
def test_an_operation_means_what_the_list_shows(
    operator: Client, make_job: MakeJob, query: str, fields: dict[str, Any]
) -> None:
    meant = make_job(state="failed", **fields)
    old = clock.now() - timedelta(days=3)
    other = make_job(state="failed", task="test.other", id=UUID(int=int(old.timestamp() * 1000) << 80))
    confirm(operator, "discard", query)
    duty.run()
    assert states([meant]) == {"cancelled"}
    assert states([other]) == ({"cancelled"} if query == "?state=failed" else {"failed"})


def test_a_button_does_nothing_to_what_the_list_shows_in_other_states(operator: Client, make_job: MakeJob) -> None:
    done = make_job(state="completed")
    for answer in ({}, {"upto": str(done.pk)}):
        assert ask(operator, "discard", "?state=completed", **answer).status_code == 302
    assert not Operation.objects.exists()
    assert Job.objects.filter(pk=done.pk).exists()


def test_a_pace_is_kept_over_pieces(operator: Client, make_job: MakeJob) -> None:
    for _ in range(12):
        make_job(state="failed")
    operation = confirm(operator, "discard", "?state=failed", pace="10")
    before = clock.now()
    assert work(pieces(1)) == 5
    operation.refresh_from_db()
    half = timedelta(seconds=0.5)
    assert before + half <= operation.next_at <= clock.now() + half
    all_operations().update(next_at=clock.now() + timedelta(hours=1))
    assert duty.run() == 0


def test_one_that_is_stopped_leaves_the_rest_and_says_who_did_it(
    operator: Client, client_with: MakeClient, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "PIECE", 2)
    dead = [make_job(state="failed") for _ in range(5)]
    operation = confirm(operator, "discard", "?state=failed")
    work(pieces(1))
    button = f"{PAGE}{operation.pk}/stop/"
    page = operator.get(f"{PAGE}{operation.pk}/change/").content.decode()
    assert button in page
    assert "2 of 5 done" in page
    assert 'data-live="' in page
    looker = client_with("view_job", "retry_job")
    assert button not in looker.get(f"{PAGE}{operation.pk}/change/").content.decode()
    assert looker.post(button).status_code == 403
    assert operator.get(button).status_code == 405
    strict = client_with("view_job", "discard_job", enforce_csrf_checks=True)
    assert strict.post(button).status_code == 403
    assert operator.post(button).status_code == 302
    assert duty.run() == 0
    assert sorted(Job.objects.values_list("state", flat=True)) == ["cancelled"] * 2 + ["failed"] * 3
    page = operator.get(f"{PAGE}{operation.pk}/change/").content.decode()
    assert "stopped" in page
    assert 'data-live="' not in page
    assert "ended already" in operator.post(button, follow=True).content.decode()
    assert LogEntry.objects.filter(object_id=str(operation.pk)).count() == 1
    assert len(dead) == 5


def test_what_a_keeper_left_is_taken_up_by_another_once_its_time_is_over(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        make_job(state="failed")
    boss = User.objects.create_superuser("boss@example.org")
    operation = begin("discard", Listed(), boss)
    assert operation is not None
    with monkeypatch.context() as patch:
        patch.setattr(operations, "next_piece", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            work(pieces(1))
    assert work(pieces(1)) == 0
    all_operations().update(next_at=clock.now())
    assert work(pieces(1)) == 3


@pytest.mark.parametrize(("error", "ended"), [(BrokerAway("gone"), False), (ValueError("odd"), True)])
def test_a_broker_that_is_away_is_asked_again_and_another_error_ends_it(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, error: Exception, ended: bool
) -> None:
    dead = [make_job(state="failed") for _ in range(3)]
    operation = begin("discard", Listed(), User.objects.create_superuser("boss@example.org"))
    assert operation is not None
    real = operations.act_for

    def act_for(*given: Any) -> Any:
        def act(ids: list[UUID], seen: Any) -> Any:
            if ids == [dead[1].pk]:
                raise error
            return real(*given)(ids, seen)

        return act

    with monkeypatch.context() as patch:
        patch.setattr(operations, "act_for", act_for)
        with suppress(BrokerAway):
            work(pieces(1))
    operation.refresh_from_db()
    assert (operation.done, operation.ended_at is not None, "odd" in operation.problem) == (1, ended, ended)
    all_operations().update(next_at=clock.now())
    assert duty.run() == (0 if ended else 2)


def test_who_may_not_do_it_any_more_does_not(operator: Client, make_job: MakeJob) -> None:
    dead = make_job(state="failed")
    operation = confirm(operator, "discard", "?state=failed")
    User.objects.update(is_active=False)
    duty.run()
    operation.refresh_from_db()
    assert (states([dead]), operation.problem) == ({"failed"}, "whoever began it may not do this any more")


def test_a_member_reaches_the_own_organization_only(client_with: MakeClient, make_job: MakeJob) -> None:
    acme, other = make_organization("acme"), make_organization("other")
    own, foreign = make_job(state="failed", scope=str(acme.pk)), make_job(state="failed", scope=str(other.pk))
    member = client_with("view_job", "discard_job", member_of=acme)
    operation = confirm(member, "discard", "?state=failed")
    duty.run()
    assert (states([own]), states([foreign])) == ({"cancelled"}, {"failed"})
    stranger = client_with("view_job", "discard_job", member_of=other)
    assert str(operation.pk) not in stranger.get(PAGE).content.decode()
    assert str(operation.pk) in member.get(PAGE).content.decode()
    assert stranger.post(f"{PAGE}{operation.pk}/stop/").status_code == 404


def test_whoever_leaves_an_organization_meanwhile_reaches_its_jobs_no_more(
    client_with: MakeClient, make_job: MakeJob
) -> None:
    acme, other = make_organization("acme"), make_organization("other")
    left, kept = make_job(state="failed", scope=str(acme.pk)), make_job(state="failed", scope=str(other.pk))
    member = client_with("view_job", "discard_job", member_of=acme)
    operation = confirm(member, "discard", "?state=failed")
    Membership.objects.update(organization=other)
    duty.run()
    operation.refresh_from_db()
    assert operation.problem == "whoever began it may not do this any more"
    boss = User.objects.create_superuser("boss@example.org")
    begin("discard", Listed(state="failed"), boss)
    Membership.objects.create(user=boss, organization=other)
    User.objects.filter(pk=boss.pk).update(is_superuser=False)
    duty.run()
    assert (states([left]), states([kept])) == ({"failed"}, {"failed"})


def test_a_keeper_that_was_slow_turns_nothing_back(
    operator: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = [make_job(state="failed") for _ in range(4)]
    monkeypatch.setattr(operations, "PIECE", 2)
    operation = confirm(operator, "discard", "?state=failed")
    act_for, asleep = operations.act_for, [True]

    def slow(*args: Any) -> Any:
        act = act_for(*args)

        def wait_first(ids: Any, seen: Any) -> Any:
            if asleep and asleep.pop():
                all_operations().update(next_at=clock.now())  # its time is over, and another keeper goes on
                work(pieces(2))
            return act(ids, seen)

        return wait_first

    monkeypatch.setattr(operations, "act_for", slow)
    work(pieces(1))
    operation.refresh_from_db()
    assert (states(dead), operation.last) == ({"cancelled"}, max(job.pk for job in dead))


def test_a_dead_letter_that_has_completed_meanwhile_is_not_removed(make_job: MakeJob) -> None:
    job = make_job(state="completed")
    with pytest.raises(Refused, match="it is no dead letter any more"):
        discard(job.pk, only_dead=True)
    assert states([job]) == {"completed"}


@pytest.mark.django_db
def test_an_erasure_reaches_what_an_operation_tells() -> None:
    boss = User.objects.create_superuser("boss@example.org")
    kept = {"verb": "retry", "chosen": "{}", "by_id": boss.pk, "newest": clock.new_id(), "last": clock.new_id()}
    operation = Operation.objects.create(
        **kept, total=1, first_refusal="held: ada@example.org", created_at=clock.now(), next_at=clock.now()
    )
    assert erase_jobs([], ["ada@example.org"]).mentions == 1
    operation.refresh_from_db()
    assert "ada@" not in operation.first_refusal
