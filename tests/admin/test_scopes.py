"""Whose jobs a person sees in the admin: those of the own organizations, as if there were no others."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Organization
from jobs import clock
from jobs.keep import operations
from jobs.models import Attempt, Job
from jobs.testing import run_jobs
from leads.services import receive
from tests.leads.people import make_organization

from .conftest import LIST, MakeClient, MakeJob, address

pytestmark = pytest.mark.django_db
ALL = ("view_job", "view_attempt", "retry_job", "cancel_job", "promote_job", "discard_job", "edit_job", "pause_queue")


@pytest.fixture
def acme() -> Organization:
    return make_organization("acme")


@pytest.fixture
def member(client_with: MakeClient, acme: Organization) -> Client:
    """Somebody who may do everything, of one organization."""
    return client_with(*ALL, member_of=acme)


def make_three(make_job: MakeJob, acme: Organization) -> tuple[Job, list[Job]]:
    """A dead letter of the organization, and those of another and of nobody."""
    fields = {"state": "failed", "error": "Boom: nobody answers", "key": "k"}
    other = make_organization("umbrella")
    own = make_job(scope=str(acme.id), **fields)
    return own, [make_job(scope=str(other.id), **fields), make_job(**fields)]


@pytest.mark.parametrize(
    "query", ["", "?queue=email", "?state=failed", "?task=test.task", "?q=nobody", "?q=k", "?since=24h"]
)
def test_a_list_holds_the_own_jobs_only(query: str, member: Client, make_job: MakeJob, acme: Organization) -> None:
    own, others = make_three(make_job, acme)
    page = member.get(f"{LIST}{query}").content.decode()
    assert str(own.pk) in page
    assert not [job for job in others if str(job.pk) in page]


def test_nothing_finds_a_job_of_others(member: Client, make_job: MakeJob, acme: Organization) -> None:
    _own, others = make_three(make_job, acme)
    for job in others:
        for text in (str(job.pk), str(job.pk)[-8:], str(job.pk)[:10]):
            assert f"{job.pk}/change" not in member.get(LIST, {"q": text}).content.decode()
        assert member.get(address(job.pk)).status_code == 302  # to the list: there is no such job
        assert member.get(f"{LIST}?parent_id={job.pk}").status_code == 200


@pytest.mark.parametrize("name", ["retry", "cancel", "promote", "discard", "edit"])
def test_no_button_reaches_a_job_of_others(name: str, member: Client, make_job: MakeJob, acme: Organization) -> None:
    own, others = make_three(make_job, acme)
    for job in others:
        assert member.post(address(job.pk, name)).status_code == 404
        job.refresh_from_db()
        assert job.state == "failed"
    assert member.post(address(own.pk, name)).status_code == (200 if name == "edit" else 302)


def test_an_action_on_all_reaches_the_own_jobs_only(member: Client, make_job: MakeJob, acme: Organization) -> None:
    own, others = make_three(make_job, acme)
    ticked = [own.pk, *(job.pk for job in others)]
    member.post(LIST, {"action": "discard_selected", "_selected_action": ticked})
    member.post(
        LIST, {"action": "discard_selected", "_selected_action": ticked, "select_across": "1", "upto": max(ticked)}
    )
    operations.run()
    states = dict(Job.objects.values_list("pk", "state"))
    assert states == {own.pk: "cancelled", **{job.pk: "failed" for job in others}}


def test_a_page_links_to_own_jobs_only(member: Client, make_job: MakeJob, acme: Organization) -> None:
    own, (foreign, _nobodys) = make_three(make_job, acme)
    parent = make_job(scope=foreign.scope)
    child = make_job(scope=foreign.scope, parent_id=own.pk)
    Job.objects.filter(pk=own.pk).update(parent_id=parent.pk)
    page = member.get(address(own.pk)).content.decode()
    assert address(parent.pk) not in page
    assert str(child.pk) not in page


def test_what_concerns_whole_queues_is_for_those_who_see_all(
    member: Client, operator: Client, make_job: MakeJob, acme: Organization
) -> None:
    own, _others = make_three(make_job, acme)
    now = clock.now()
    attempt = Attempt.objects.create(job=own, run=1, number=1, outcome="failed", claimed_at=now, ended_at=now)
    for path in (reverse("admin:jobs_attempt_changelist"), reverse("admin:jobs_attempt_change", args=[attempt.pk])):
        assert (member.get(path).status_code, operator.get(path).status_code) == (403, 200)
    pause = reverse("admin:jobs_queue_pause", args=["email"])
    assert (member.post(pause).status_code, operator.post(pause).status_code) == (403, 302)
    overview = reverse("admin:app_list", args=["jobs"])
    assert "queue/pause" not in (page := member.get(overview).content.decode())
    assert "jobs-overview" not in page
    assert pause.replace("pause", "resume") in operator.get(overview).content.decode()


def test_a_member_of_nothing_sees_nothing(client_with: MakeClient, make_job: MakeJob, acme: Organization) -> None:
    make_three(make_job, acme)
    lonely = client_with(*ALL, member_of=make_organization("lonely"))
    assert "field-task" not in lonely.get(LIST).content.decode()


def test_every_job_that_an_enquiry_starts_is_the_organizations(acme: Organization) -> None:
    body = '{"name": "Ada", "email": "ada@analytical.example", "message": "Hello", "consent": true}'
    receive(acme, "api", body)
    while run_jobs():
        pass
    scopes = dict(Job.objects.values_list("task", "scope"))
    assert len(scopes) >= 4
    assert set(scopes.values()) == {str(acme.id)}


def test_a_job_that_a_person_starts_is_the_organizations_by_the_row_that_it_names(acme: Organization) -> None:
    from emails.services import send_welcome_email

    handle = send_welcome_email("ada@analytical.example", organization=acme)
    assert handle is not None
    assert UUID(handle.job.scope) == acme.id
