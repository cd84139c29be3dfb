"""The page of dead letters by cause: who sees what, what a button asks and does, and that hostile errors stay text."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization
from jobs import clock
from jobs.models import Attempt, Job, Release
from tests.dead.conftest import dead

from .conftest import MakeClient

PAGE = "/admin/jobs/cause/"
CAUSE = "c" * 16
ACTS = {"retry": ("retry_job", "pending"), "discard": ("discard_job", "cancelled")}


@pytest.mark.parametrize("path", ["", "compare/", f"{CAUSE}/retry/", f"{CAUSE}/discard/", f"{CAUSE}/change/"])
def test_nobody_without_the_permission_sees_a_page_of_it(client_with: MakeClient, path: str) -> None:
    dead(1)
    assert Client().get(PAGE + path).status_code == 302
    assert client_with("pause_queue").get(PAGE + path).status_code == 403
    assert client_with("pause_queue", "retry_job", "discard_job").post(PAGE + path).status_code == 403


@pytest.mark.parametrize("name", ACTS)
def test_a_viewer_sees_the_list_and_may_do_nothing(viewer: Client, name: str) -> None:
    dead(3)
    shown = viewer.get(PAGE).content.decode()
    assert "dead.fail" in shown
    assert f"{CAUSE}/{name}/" not in shown
    assert viewer.get(f"{PAGE}{CAUSE}/{name}/").status_code == 403
    assert viewer.post(f"{PAGE}{CAUSE}/{name}/").status_code == 403
    assert set(Job.objects.values_list("state", flat=True)) == {"failed"}


@pytest.mark.parametrize("name", ACTS)
def test_an_operator_is_asked_and_then_it_is_done_and_noted(client_with: MakeClient, name: str) -> None:
    permission, state = ACTS[name]
    client = client_with("view_job", permission)
    dead(3)
    address = f"{PAGE}{CAUSE}/{name}/"
    assert address in client.get(PAGE).content.decode()
    assert client.get(address).status_code == 200
    assert set(Job.objects.values_list("state", flat=True)) == {"failed"}
    assert client.post(address, {"pace": "10"}).status_code == 302
    assert set(Job.objects.values_list("state", flat=True)) == {state}
    assert LogEntry.objects.filter(content_type__model="cause", object_id=CAUSE).count() == 1


def test_a_form_of_another_site_does_nothing(client_with: MakeClient) -> None:
    dead(1)
    client = client_with("view_job", "discard_job", enforce_csrf_checks=True)
    assert client.post(f"{PAGE}{CAUSE}/discard/").status_code == 403
    assert Job.objects.get().state == "failed"


def test_a_member_sees_and_discards_its_organizations_only(client_with: MakeClient, no_roles: None) -> None:
    mine = Organization.objects.create(name="Acme", slug="acme")
    dead(2, scope=str(mine.pk))
    dead(5, scope="somebody-else", error="Strange: not for you")
    dead(1, scope="somebody-else", cause="d" * 16, task="dead.masked")
    client = client_with("view_job", "discard_job", member_of=mine)
    shown = client.get(PAGE).content.decode()
    assert ">2</a>" in shown
    assert "not for you" not in shown
    assert "dead.masked" not in shown
    assert client.get(f"{PAGE}{'d' * 16}/discard/").status_code == 404
    client.post(f"{PAGE}{CAUSE}/discard/")
    assert set(Job.objects.filter(state="cancelled").values_list("scope", flat=True)) == {str(mine.pk)}
    assert Job.objects.filter(state="failed").count() == 6


def test_hostile_errors_stay_text_and_a_million_letters_do_not_fill_the_page(client_with: MakeClient) -> None:
    client = client_with("view_job", "retry_job")
    dead(2, error='Strange: <script>alert(1)</script>" onload="x' + "x" * 1_000_000)
    dead(1, cause=OTHER, error="<script>alert(1)</script>" * 40_000)
    for path in ("", f"{CAUSE}/retry/", f"{CAUSE}/change/", f"compare/?cause={CAUSE}&cause={OTHER}"):
        shown = client.get(PAGE + path).content.decode()
        assert "<script>alert(1)" not in shown
        assert "&lt;script&gt;" in shown
        assert len(client.get(PAGE + path).content) < 100_000 or path.endswith("retry/")


@pytest.mark.parametrize("cause", ["f" * 16, "nonsense", "%00", "<b>"])
def test_a_cause_that_is_not_there_is_no_error(operator: Client, cause: str) -> None:
    assert operator.get(f"{PAGE}{cause}/retry/").status_code in (302, 404)
    assert operator.get(f"/admin/jobs/job/?cause={cause}").status_code == 200


def test_a_line_leads_to_its_dead_letters(viewer: Client) -> None:
    first, _second = dead(2)
    dead(1, cause="d" * 16)
    shown = viewer.get(PAGE).content.decode()
    assert f"/admin/jobs/job/?state=failed&amp;cause={CAUSE}" in shown
    listed = viewer.get(f"/admin/jobs/job/?state=failed&cause={CAUSE}")
    assert len(listed.context["cl"].result_list) == 2
    assert str(first.pk) in listed.content.decode()


def test_without_dead_letters_the_page_says_what_will_appear(viewer: Client) -> None:
    assert "No dead letters" in viewer.get(PAGE).content.decode()


OTHER = "d" * 16


def attempts_of(job: Job, trace: str) -> None:
    Attempt.objects.create(job=job, outcome="failed", ended_at=job.ended_at, error=job.error, traceback=trace)


def test_a_cause_has_a_page_with_its_trend_its_releases_and_its_last_dead_letters(
    client_with: MakeClient,
) -> None:
    person = client_with("view_job", "retry_job", "edit_job")
    now = clock.now()
    for days, number in ((0, 3), (2, 5), (40, 7)):
        dead(number, age=timedelta(days=days, hours=1))
    dead(2, run=2)
    dead(4, cause=OTHER)
    for days, name in ((50, "old"), (1, "v2")):
        Release.objects.create(name=name, since=now - timedelta(days=days))
    fields = {"cause": CAUSE, "task": "dead.fail", "queue": "dead_lane", "message": "{}"}
    for state in ("completed", "completed", "cancelled"):
        Job.objects.create(id=clock.new_id(), state=state, created_at=now, ready_at=now, ended_at=now, **fields)
    response = person.get(f"{PAGE}{CAUSE}/change/")
    shown = " ".join(response.content.decode().split())
    assert "17 dead letters" in shown
    assert response.context["days"] == (*[0] * 27, 5, 0, 5)
    assert [name for _at, name in response.context["trend"].marks] == ["v2"]
    assert "v2 (" in shown
    assert "old (" not in shown
    tried = response.context["tried"]
    assert (tried.again, tried.others) == (2, {"completed": 2, "cancelled": 1})
    assert f"{PAGE}{CAUSE}/retry/" in shown
    assert f"{PAGE}{CAUSE}/discard/" not in shown
    assert shown.count("/edit/") == 17
    person.post(f"{PAGE}{CAUSE}/retry/", {"pace": "0"})
    assert Job.objects.filter(cause=CAUSE, state="failed").count() == 0
    dead(1)
    assert "Retried: 17 jobs." in person.get(f"{PAGE}{CAUSE}/change/").content.decode()


def test_the_page_of_a_cause_needs_as_many_queries_for_many_dead_letters_as_for_few(viewer: Client) -> None:
    counted = []
    for number in (3, 300):
        dead(number)
        viewer.get(PAGE)
        with CaptureQueriesContext(connection) as queries:
            assert viewer.get(f"{PAGE}{CAUSE}/change/").status_code == 200
        counted.append(len(queries))
    assert counted[0] == counted[1] < 40


def test_two_dead_letters_are_compared_line_by_line_and_what_is_personal_stays_masked(viewer: Client) -> None:
    message = '{"v":1,"args":["%s",%d],"kwargs":{}}'
    first, second = (
        dead(1, task="dead.masked", message=message % (who, order), error=f"Strange: {who} is no address of {order}")[0]
        for who, order in (("ada@example.org", 1), ("bob@example.org", 2))
    )
    for job, line in ((first, 7), (second, 9)):
        attempts_of(job, f'Traceback:\n  File "a.py", line {line}, in <f>\nStrange: {job.error[9:24]} <script>')
    response = viewer.get(f"{PAGE}compare/", {"job": [first.pk, second.pk]})
    shown = response.content.decode()
    assert "ada@" not in shown
    assert "bob@" not in shown
    assert "<script>" not in shown.partition('id="content-main"')[2].partition("</html>")[0].replace("<script src", "")
    rows = {row.name: row for row in response.context["parts"][1][1]}
    assert (rows["address"].masked, rows["address"].differs) == ((True, True), False)
    assert (rows["order"].left, rows["order"].right, rows["order"].differs) == ("1", "2", True)
    (_error, error), (_trace, trace) = response.context["texts"]
    assert [row.differs for row in error] == [True]
    assert [row.differs for row in trace] == [False, True, False]


def test_the_last_dead_letters_of_two_causes_are_compared(viewer: Client) -> None:
    dead(2)
    dead(3, cause=OTHER, error="Strange: something else")
    response = viewer.get(f"{PAGE}compare/", {"cause": [CAUSE, OTHER]})
    assert [side["count"].number for side in response.context["sides"]] == [2, 3]
    assert "something else" in response.content.decode()


@pytest.mark.parametrize(
    "query", ["", "job=1&job=2", "cause=c&cause=%00", "job={0}", "job={0}&job={0}", f"cause={CAUSE}"]
)
def test_what_cannot_be_compared_leads_back_with_a_word(viewer: Client, query: str) -> None:
    (job,) = dead(1)
    response = viewer.get(f"{PAGE}compare/?{query.format(job.pk)}", follow=True)
    assert response.redirect_chain == [(PAGE, 302)]
    assert "Choose two dead letters" in response.content.decode()


def test_a_member_opens_and_compares_its_own_dead_letters_only(client_with: MakeClient, no_roles: None) -> None:
    mine = Organization.objects.create(name="Acme", slug="acme")
    own = dead(2, scope=str(mine.pk))
    others = dead(2, scope="somebody-else", cause=OTHER, error="Strange: not for you")
    client = client_with("view_job", member_of=mine)
    shown = client.get(f"{PAGE}{CAUSE}/change/").content.decode()
    assert str(own[0].pk) in shown
    assert client.get(f"{PAGE}{OTHER}/change/").status_code == 404
    assert client.get(f"{PAGE}compare/", {"job": [own[0].pk, own[1].pk]}).status_code == 200
    for query in ({"job": [own[0].pk, others[0].pk]}, {"cause": [CAUSE, OTHER]}):
        page = client.get(f"{PAGE}compare/", query, follow=True)
        assert page.redirect_chain
        assert "not for you" not in page.content.decode()
