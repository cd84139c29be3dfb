"""The page of a queue's groups."""

from __future__ import annotations

import html

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

import jobs
from jobs import Queue, RateLimit
from tests.each_broker import each_broker as each_broker
from tests.leads.people import make_organization

from .conftest import MakeClient

pytestmark = pytest.mark.usefixtures("each_broker")
lane = Queue("groups_page")
PAGE = "/admin/jobs/job/groups/groups_page/"


@lane.task(name="groups.of_page")
def note() -> None: ...


@pytest.fixture(autouse=True)
def _lane_is_configured(each_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})


def text(client: Client, address: str = PAGE) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(html.unescape(response.content.decode()).split())


def said(client: Client, **data: object) -> str:
    """What the page says after a button."""
    response = client.post(PAGE, data, follow=True)
    return html.unescape(response.content.decode()).partition('class="messagelist"')[2].partition("</ul>")[0]


def test_page_lists_the_groups_with_what_waits_and_what_holds(operator: Client) -> None:
    for group in ("acme", "acme", "<b>"):
        note.using(group=group).enqueue()
    jobs.set_group_limits(lane, "acme", concurrency=2, rate_limit=RateLimit(5, per=60))
    jobs.pause_group(lane, "later")

    page = operator.get(PAGE).content.decode()
    assert "&lt;b&gt;" in page
    assert '<th scope="row"><b>' not in page
    page = text(operator)
    assert page.index(">acme<") < page.index(">later<")
    assert ">2</td>" in page
    assert "5 in 60 s" in page
    assert "its own limits" in page
    assert "<strong>paused</strong>" in page


def test_the_form_keeps_a_long_period_to_its_last_digit(operator: Client) -> None:
    jobs.set_group_limits(lane, "acme", rate_limit=RateLimit(5, per=1_234_567.5))
    assert 'value="1234567.5"' in operator.get(PAGE).content.decode()


def test_buttons_pause_resume_and_limit_a_group_and_are_noted(operator: Client) -> None:
    assert "Group acme is paused." in said(operator, group="acme", act="pause")
    assert jobs.groups(lane)[0].settings.paused
    assert "limits of group acme are changed" in said(
        operator, group="acme", act="limit", concurrency="3", starts="10", per="60"
    )
    assert "Group acme goes on." in said(operator, group="acme", act="resume")
    (seen,) = jobs.groups(lane)
    assert (seen.settings.concurrency, seen.settings.rate_limit) == (3, RateLimit(10, per=60))
    assert "changed" in said(operator, group="acme", act="limit", concurrency="", starts="", per="")
    assert not jobs.groups(lane)
    assert LogEntry.objects.count() == 4


@pytest.mark.parametrize(
    "data",
    [
        {"group": "", "act": "pause"},
        {"group": "a\x1fb", "act": "pause"},
        {"group": "acme", "act": "drop"},
        {"group": "acme", "act": "limit", "concurrency": "0"},
        {"group": "acme", "act": "limit", "starts": "x"},
        {"group": "acme", "act": "limit", "starts": "5", "per": "inf"},
        {"group": "acme", "act": "limit", "starts": "5", "per": "1e12"},
    ],
)
def test_wrong_values_change_nothing_and_say_so(data: dict[str, str], operator: Client) -> None:
    assert 'class="error"' in said(operator, **data)
    assert not jobs.groups(lane)


def test_tags_are_paused_and_resumed_and_shown_beside_the_queue(operator: Client) -> None:
    assert "Jobs with the tag <b> are paused." in said(operator, tag="<b>", act="pause")
    assert jobs.paused_tags(lane) == ("<b>",)
    assert "<strong>&lt;b&gt;</strong>" in operator.get(PAGE).content.decode()
    overview = operator.get("/admin/jobs/").content.decode()
    assert f'<a class="job-badge tone-again" href="{PAGE}#paused-tags">1 paused tag</a>' in overview
    for wrong in ({"tag": "", "act": "pause"}, {"tag": 'a"b', "act": "pause"}, {"tag": "a", "act": "limit"}):
        assert 'class="error"' in said(operator, **wrong)
    assert jobs.paused_tags(lane) == ("<b>",)
    assert "Jobs with the tag <b> go on." in said(operator, tag="<b>", act="resume")
    assert jobs.paused_tags(lane) == ()
    assert LogEntry.objects.count() == 2


def test_who_may_look_sees_no_buttons_and_changes_nothing(viewer: Client, client_with: MakeClient) -> None:
    note.using(group="acme").enqueue()
    page = text(viewer)
    assert ">acme<" in page
    assert ">Pause<" not in page
    assert viewer.post(PAGE, {"group": "acme", "act": "pause"}).status_code == 403
    assert viewer.post(PAGE, {"tag": "acme", "act": "pause"}).status_code == 403
    assert client_with("view_attempt").get(PAGE).status_code == 403
    assert Client().get(PAGE).status_code == 302


def test_groups_are_of_a_whole_queue_and_not_for_who_sees_one_scope(client_with: MakeClient) -> None:
    member = client_with("view_job", "pause_queue", member_of=make_organization("acme"))
    assert member.get(PAGE).status_code == 403
    assert member.post(PAGE, {"group": "acme", "act": "pause"}).status_code == 403


def test_unknown_queue_is_not_found_and_a_form_without_its_token_is_refused(
    operator: Client, client_with: MakeClient
) -> None:
    assert operator.get("/admin/jobs/job/groups/nowhere/").status_code == 404
    strict = client_with("view_job", "pause_queue", enforce_csrf_checks=True)
    assert strict.post(PAGE, {"group": "acme", "act": "pause"}).status_code == 403
    assert operator.put(PAGE).status_code == 405


def test_many_groups_are_paged(operator: Client) -> None:
    for i in range(101):
        note.using(group=f"g{i:03}").enqueue()
    page = text(operator)
    assert "?after=g099" in page
    assert ">g100<" not in page
    assert ">g100<" in text(operator, f"{PAGE}?after=g099")
    assert "Next page" not in text(operator, f"{PAGE}?after=g099")
