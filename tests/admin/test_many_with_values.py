"""Another priority or due time for many jobs of the list: asked for, worked off as an operation, or refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import User
from jobs import InvalidOption, clock
from jobs.keep import operations as duty
from jobs.models import Job, Operation
from jobs.operate.operations import Listed, begin
from tests.leads.people import make_organization

from .conftest import LIST, MakeClient, MakeJob

PAGE = "/admin/jobs/operation/"


def post(client: Client, action: str, query: str = "", *, ids: list[Job] | None = None, **answer: str) -> Any:
    chosen = [str(job.pk) for job in ids or []] or ["x"]
    across = "0" if ids else "1"
    data = {"action": action, "index": "0", "select_across": across, "_selected_action": chosen}
    return client.post(f"{LIST}{query}", {**data, **answer})


def waiting(make_job: MakeJob, **fields: Any) -> Job:
    return make_job(state="queued", ready_at=clock.now() + timedelta(hours=1), **fields)


def test_all_that_match_get_another_priority(operator: Client, make_job: MakeJob) -> None:
    meant, other = waiting(make_job, tags='["red"]'), waiting(make_job)
    question = post(operator, "prioritize_selected", "?q=tag:red")
    assert question.status_code == 200
    assert "1 job matches the filter" in " ".join(question.content.decode().split())
    upto = str(question.context["upto"])
    wrong = post(operator, "prioritize_selected", "?q=tag:red", upto=upto, priority="77")
    assert "77" in wrong.content.decode()
    assert not Operation.objects.exists()
    answered = post(operator, "prioritize_selected", "?q=tag:red", upto=upto, priority="1", pace="100")
    operation = Operation.objects.get()
    assert answered.headers["Location"] == f"{PAGE}{operation.pk}/change/"
    assert duty.run() == 1
    meant.refresh_from_db()
    other.refresh_from_db()
    assert (meant.priority, other.priority) == (1, 5)
    page = operator.get(f"{PAGE}{operation.pk}/change/").content.decode()
    assert "Change priority" in page
    assert "1 of 1 done" in page
    assert LogEntry.objects.filter(object_id=str(meant.pk)).count() == 1


def test_what_is_ticked_gets_another_due_time_and_nothing_else(operator: Client, make_job: MakeJob) -> None:
    ticked, other = [waiting(make_job), waiting(make_job)], waiting(make_job)
    question = post(operator, "reschedule_selected", ids=ticked)
    assert "2 of the ticked jobs wait" in " ".join(question.content.decode().split())
    post(operator, "reschedule_selected", ids=ticked, upto=str(question.context["upto"]), due="2027-01-31T09:00:00")
    duty.run()
    due = set(Job.objects.filter(pk__in=[job.pk for job in ticked]).values_list("ready_at", flat=True))
    assert [moment.year for moment in due] == [2027]
    before = other.ready_at
    other.refresh_from_db()
    assert other.ready_at == before


def test_a_job_that_would_expire_first_is_refused_and_ends_nothing(operator: Client, make_job: MakeJob) -> None:
    dies = waiting(make_job, expires_at=clock.now() + timedelta(hours=2))
    lives = waiting(make_job)
    question = post(operator, "reschedule_selected")
    due = (clock.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S")
    post(operator, "reschedule_selected", upto=str(question.context["upto"]), due=due)
    duty.run()
    operation = Operation.objects.get()
    assert (operation.done, operation.refused, operation.problem) == (1, 1, "")
    assert str(dies.pk) in operation.first_refusal
    lives.refresh_from_db()
    assert lives.ready_at > clock.now() + timedelta(days=1)


def test_a_time_beyond_a_year_is_refused_in_the_form(operator: Client, make_job: MakeJob) -> None:
    job = waiting(make_job)
    answered = post(operator, "reschedule_selected", upto=str(job.pk), due="2099-01-01T00:00:00")
    assert "at most one year ahead" in answered.content.decode()
    assert not Operation.objects.exists()


def test_without_the_permission_there_is_no_such_action(client_with: MakeClient, make_job: MakeJob) -> None:
    acme, other = make_organization("acme"), make_organization("other")
    own, foreign = waiting(make_job, scope=str(acme.pk)), waiting(make_job, scope=str(other.pk))
    looker = client_with("view_job", "cancel_job")
    page = looker.get(LIST).content.decode()
    assert "cancel_selected" in page
    assert "prioritize_selected" not in page
    post(looker, "prioritize_selected", upto=str(foreign.pk), priority="1")
    assert not Operation.objects.exists()
    member = client_with("view_job", "promote_job", member_of=acme)
    post(member, "prioritize_selected", upto=str(foreign.pk), priority="1")
    post(member, "prioritize_selected", ids=[foreign], upto=str(foreign.pk), priority="1")
    duty.run()
    own.refresh_from_db()
    foreign.refresh_from_db()
    assert (own.priority, foreign.priority) == (1, 5)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("verb", "given"),
    [("set_priority", {}), ("reschedule", {}), ("retry", {"priority": 1}), ("set_priority", {"priority": 11})],
)
def test_a_value_belongs_to_its_verb(verb: str, given: dict[str, int]) -> None:
    with pytest.raises(InvalidOption):
        begin(verb, Listed(), User.objects.create_superuser("boss@example.org"), **given)
