"""The list of jobs: pages by key, filters, search; and nothing that would scan a million rows."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client

from admin_lists import pages
from jobs import clock, jobs_about
from jobs.admin import keyset
from jobs.history.lookup import Capped, capped_count, first_id_at
from jobs.models import Job

from .conftest import LIST, MakeClient, MakeJob, queries_on_jobs

#: Nobody's; the same in every process of a run, as the names of tests are.
NO_JOB = UUID(int=7)
SEEN = re.compile(r"/admin/jobs/job/([0-9a-f-]{36})/change/")


def shown(client: Client, query: str = "") -> list[str]:
    """The ids on a page, in order."""
    response = client.get(f"{LIST}{query}")
    assert response.status_code == 200, response.headers
    return list(dict.fromkeys(SEEN.findall(response.content.decode())))


def ids(*jobs: Job) -> list[str]:
    return [str(job.pk) for job in jobs]


@pytest.fixture
def many(make_job: MakeJob) -> list[Job]:
    """120 jobs, the newest first, of two queues and three states."""
    states = ("completed", "failed", "queued")
    queues = ("email", "lead")
    return [make_job(state=states[i % 3], queue=queues[i % 2]) for i in range(120)][::-1]


def link(client: Client, query: str, rel: str) -> str:
    page = client.get(f"{LIST}{query}").content.decode()
    found = re.search(rf'<a href="(\?[^"]+)" rel="{rel}"', page)
    return found[1].replace("&amp;", "&") if found else ""


@pytest.mark.parametrize("few", [1, 500])
@pytest.mark.parametrize("query", ["", "?queue=email"])
def test_pages_lead_from_the_newest_to_the_oldest_and_back(
    viewer: Client, many: list[Job], query: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    expected = ids(*[job for job in many if not query or job.queue == "email"])
    first = shown(viewer, query)
    assert first == expected[:50]
    older = link(viewer, query, "next")
    assert shown(viewer, older) == expected[50:100]
    newer = link(viewer, older, "prev")
    assert shown(viewer, newer) == expected[:50]
    assert not link(viewer, query, "prev")
    last = viewer.get(f"{LIST}{query}").context["cl"].oldest_link
    assert shown(viewer, last) == expected[-50:]
    assert not link(viewer, last, "next")
    assert shown(viewer, link(viewer, last, "prev")) == expected[-100:-50] if len(expected) >= 100 else expected[:50]


def test_a_page_just_above_the_newest_one_shows_the_newest_page_whole(viewer: Client, many: list[Job]) -> None:
    assert shown(viewer, f"?after={many[10].pk}") == ids(*many[:50])


def test_a_link_to_a_filter_begins_at_its_newest_page(viewer: Client, many: list[Job]) -> None:
    page = viewer.get(f"{LIST}?before={many[50].pk}").content.decode()
    assert "?state=failed" in page
    assert f"before={many[50].pk}&amp;state" not in page


@pytest.mark.parametrize(
    "query",
    ["?before=nonsense", "?state=nonsense", "?since=nonsense", "?event_id=nonsense", "?parent_id=1"],
)
def test_a_wrong_value_in_the_address_leads_to_the_plain_list(viewer: Client, query: str) -> None:
    response = viewer.get(f"{LIST}{query}")
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}?e=1")


@pytest.mark.parametrize("query", ["?error__icontains=x", "?message__contains=x", "?about_type__gt=x"])
def test_look_ups_of_a_visitors_own_making_are_refused(viewer: Client, query: str) -> None:
    assert viewer.get(f"{LIST}{query}").status_code == 400


def test_filters_by_queue_task_state_and_time(viewer: Client, make_job: MakeJob) -> None:
    now = clock.now()
    mail = make_job(task="test.mail")
    dead = make_job(queue="lead", state="failed")
    later = make_job(queue="lead", state="queued", ready_at=now + timedelta(hours=1))
    due = make_job(queue="lead", state="queued")
    again = make_job(queue="lead", state="queued", attempts=1)
    old = make_job(id=first_id_at(now - timedelta(days=3)))
    assert shown(viewer, "?queue=lead") == ids(again, due, later, dead)
    assert shown(viewer, "?task=test.mail") == ids(mail)
    assert shown(viewer, "?state=failed") == ids(dead)
    assert shown(viewer, "?state=scheduled") == ids(later)
    assert shown(viewer, "?state=waiting") == ids(due)
    assert shown(viewer, "?state=retrying") == ids(again)
    assert shown(viewer, "?state=queued&queue=lead") == ids(again, due, later)
    assert str(old.pk) not in shown(viewer, "?since=24h")
    assert str(old.pk) in shown(viewer, "?since=7d")


def test_the_relations_of_a_job_are_filters(viewer: Client, make_job: MakeJob) -> None:
    event, parent = uuid4(), make_job()
    caused = make_job(event="LeadCreated", event_id=event)
    child = make_job(parent_id=parent.pk)
    about = make_job(about_type="leads.lead", about_id="7")
    assert shown(viewer, f"?event_id={event}") == ids(caused)
    assert shown(viewer, f"?parent_id={parent.pk}") == ids(child)
    assert shown(viewer, "?about=leads.lead:7") == ids(about)
    assert shown(viewer, "?about=leads.lead:8") == []


def test_search_finds_by_id_whole_head_and_tail(viewer: Client, make_job: MakeJob) -> None:
    one, _other = make_job(), make_job(id=uuid4())
    tail = str(one.pk)[-8:]
    for text in (str(one.pk), one.pk.hex, str(one.pk).upper(), f" {one.pk} ", str(one.pk)[:18], tail, tail.upper()):
        assert shown(viewer, f"?q={text}") == ids(one), text


def test_search_finds_by_object_event_key_and_error(viewer: Client, make_job: MakeJob) -> None:
    lead, event = uuid4(), uuid4()
    about = make_job(about_type="leads.lead", about_id=str(lead))
    numbered = make_job(about_type="leads.lead", about_id="7")
    caused = make_job(event_id=event, event="LeadCreated")
    keyed = make_job(key="sync:12")
    dead = make_job(state="failed", error="ValueError: bad gateway")
    retrying = make_job(state="queued", attempts=1, error="Bad Gateway again")
    make_job(state="completed", error="bad gateway")
    for text in (str(lead), f"lead:{lead}", f"leads.lead:{lead}", lead.hex):
        assert shown(viewer, f"?q={text}") == ids(about), text
    assert shown(viewer, "?q=lead:7") == ids(numbered)
    assert shown(viewer, "?q=7") == ids(numbered)
    assert shown(viewer, f"?q={event}") == ids(caused)
    assert shown(viewer, "?q=sync:12") == ids(keyed)
    assert shown(viewer, "?q=bad gateway") == ids(retrying, dead)
    assert shown(viewer, "?q=bad gateway&state=failed") == ids(dead)
    assert shown(viewer, "?q=nothing at all") == []


def test_a_search_text_is_data_not_sql(viewer: Client, make_job: MakeJob) -> None:
    make_job()
    for text in ("%", "'", "_", "\\", '"; DROP TABLE jobs_job; --', "\x00"):
        viewer.get(LIST, {"q": text})
    assert Job.objects.count() == 1
    assert shown(viewer, "?q=%25") == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?queue=email",
        "?state=failed",
        "?queue=email&state=failed",
        "?task=test.task",
        "?since=24h",
        "?state=queued",
        "?about=leads.lead:7",
        f"?event_id={NO_JOB}",
        f"?parent_id={NO_JOB}",
        f"?q={NO_JOB}",
        "?q=lead:7",
        "?q=some text",
        "?q=0193abcd",
        f"?before={NO_JOB}",
        f"?after={NO_JOB}",
    ],
)
@pytest.mark.sqlite
def test_no_page_skips_counts_or_sorts_the_table(
    viewer: Client, many: list[Job], query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FEW", 1)
    statements = queries_on_jobs(viewer, f"{LIST}{query}")
    assert statements
    assert len(statements) <= 18
    for sql in statements:
        assert "OFFSET" not in sql, sql
        assert "LIMIT" in sql or '"jobs_job"."id" IN' in sql, sql
        assert "COUNT(*)" not in sql or re.search(r"LIMIT \d+\) subquery$", sql), sql
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = [row[3] for row in cursor.fetchall()]
        # a walk along an index stops at the statement's own LIMIT; the bare table does not, and a sort must be of few
        assert not any(re.fullmatch(r"SCAN (jobs_job|U\d)", step) for step in plan), (sql, plan)
        few = '"jobs_job"."id" IN' in sql or re.search("jobs_event|jobs_parent", plan[0])
        assert few or not any("TEMP B-TREE FOR ORDER BY" in step for step in plan), (sql, plan)


@pytest.mark.sqlite
def test_the_jobs_about_an_object_are_found_by_their_index(make_job: MakeJob) -> None:
    make_job()
    about = make_job(about_type="leads.lead", about_id="7")
    assert list(jobs_about(("leads.lead", "7"))) == [about]
    assert "USING INDEX jobs_about" in jobs_about(("leads.lead", "7"))[:20].explain()


def test_the_list_takes_as_many_queries_for_fifty_rows_as_for_one(viewer: Client, make_job: MakeJob) -> None:
    make_job(about_type="leads.lead", about_id="1")
    few = len(queries_on_jobs(viewer, LIST))
    for i in range(60):
        make_job(about_type="leads.lead", about_id=str(i))
    assert len(queries_on_jobs(viewer, LIST)) == few


def test_a_count_stops_at_its_cap(make_job: MakeJob) -> None:
    for _ in range(4):
        make_job()
    assert capped_count(Job.objects.all(), cap=3) == Capped(3, more=True)
    assert capped_count(Job.objects.all(), cap=4) == Capped(4)
    assert str(Capped(10_000, more=True)) == "10,000+"


def test_the_pager_says_that_there_are_more_than_it_counted(
    viewer: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        make_job()
    monkeypatch.setattr(pages, "FEW", 1)
    monkeypatch.setattr(keyset, "capped_count", lambda rows, cap: Capped(10_000, more=True))
    assert "10,000+ jobs" in " ".join(viewer.get(LIST).content.decode().split())


def test_the_list_needs_the_view_permission(client_with: MakeClient) -> None:
    assert client_with("retry_job").get(LIST).status_code == 403
    assert Client().get(LIST).status_code == 302


def test_nobody_adds_edits_or_deletes_rows(make_job: MakeJob, admin_client: Client) -> None:
    job = make_job()
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{job.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.post(f"{LIST}{job.pk}/change/", {"queue": "lead"}).status_code == 405
    assert "delete_selected" not in admin_client.get(LIST).content.decode()
    assert Job.objects.get().queue == "email"


def test_hostile_texts_are_escaped_on_the_list(viewer: Client, make_job: MakeJob) -> None:
    evil = "<script>alert(1)</script>"
    make_job(state="failed", error=evil, task=evil, about_type="leads.lead", about_id='"><script>')
    page = viewer.get(f"{LIST}?q={evil}&about=%22%3E%3Cscript%3Ealert(1)").content.decode()
    assert "<script>alert" not in page
    assert evil not in viewer.get(LIST).content.decode()


def test_the_attempts_list_is_bounded_and_read_only(viewer: Client, admin_client: Client, make_job: MakeJob) -> None:
    job = make_job(state="failed")
    now = clock.now()
    for number in range(60):
        job.timeline.create(outcome="failed", ended_at=now, error="<script>x</script>", number=number, traceback="T<b>")
    page = viewer.get("/admin/jobs/attempt/").content.decode()
    assert page.count(str(job.pk)) >= 50
    assert "<script>x" not in page
    assert 'rel="next"' in page
    newest = job.timeline.order_by("-pk").first()
    assert newest is not None
    detail = viewer.get(f"/admin/jobs/attempt/{newest.pk}/change/").content.decode()
    assert "T&lt;b&gt;" in detail
    assert viewer.get("/admin/jobs/attempt/?outcome=lost").status_code == 200
    assert viewer.get(f"/admin/jobs/attempt/?job={job.pk}").status_code == 200
    assert admin_client.post(f"/admin/jobs/attempt/{newest.pk}/change/", {"error": "x"}).status_code == 403
    assert admin_client.get("/admin/jobs/attempt/add/").status_code == 403
