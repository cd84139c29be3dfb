"""The overview at /admin/jobs/: what is wrong in words, since when and what mends it; then the numbers, with links."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

import jobs
from jobs import clock
from jobs.admin import overview as overview_page
from jobs.broker import get_broker
from jobs.broker.database.rows import add_counts_of_hour
from jobs.broker.records import ProcessRecord
from jobs.broker.tally import Tally
from jobs.models import Process
from tests.leads.people import make_organization

from .conftest import LIST, MakeClient, MakeJob

OVERVIEW, QUEUE, SUMMARY = "/admin/jobs/", "/admin/jobs/job/queues/email/", "/admin/"
PART, QUEUE_PART, SUMMARY_PART = f"{LIST}overview/", f"{QUEUE}part/", f"{LIST}summary/"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _nothing_was_looked_at() -> None:
    overview_page.forget_looks()


def overview(client: Client, path: str = OVERVIEW) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def verdict_of(page: str) -> str:
    return page.partition('role="status">')[2].partition("</p>")[0]


def run_huey(*queues: str, host: str = "here", concurrency: int = 1) -> list[ProcessRecord]:
    """Make the processes of `run_huey` known."""
    made = [ProcessRecord(clock.new_id(), "keeper", "", host, 1, 1)]
    made += [ProcessRecord(clock.new_id(), "worker", queue, host, 1, concurrency) for queue in queues]
    for process in made:
        get_broker().register(process, 30)
    return made[1:]


def count(queue: str, outcome: str, times: list[int], hours: int = 0, task: str = "a") -> None:
    """Starts that ran for so many milliseconds and had waited for ten times as long."""
    tally = Tally()
    for milliseconds in times:
        tally.add_start(task, outcome, milliseconds, 10 * milliseconds)
    with connection.cursor() as cursor:
        add_counts_of_hour(cursor, connection.vendor, queue, clock.now() - timedelta(hours=hours), tally)


def card(page: str, queue: str) -> str:
    """The part of the page that is about one queue."""
    return page.partition(f'data-live-key="queue-{queue}"')[2].partition("</section>")[0]


def facts(page: str, queue: str) -> dict[str, str]:
    """What a queue's card says: the terms with their texts, without tags."""
    found = re.findall(r"<dt>(.*?)</dt>\s*<dd[^>]*>(.*?)</dd>", card(page, queue))
    return {text_of(term): text_of(said) for term, said in found}


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))


# the verdict and what mends it


def test_all_is_well_when_everything_is_worked(viewer: Client) -> None:
    run_huey("email", "lead", "notification")
    assert verdict_of(overview(viewer)) == "All is well."


def test_the_first_line_names_the_trouble_and_the_remedy(viewer: Client, make_job: MakeJob) -> None:
    run_huey("lead")
    due = clock.now() - timedelta(minutes=4, seconds=1)
    make_job(queue="email", state="queued", ready_at=due)
    page = overview(viewer)
    assert verdict_of(page).startswith("email: nobody works this queue, its oldest job has waited for 4 minutes: start")
    assert "tone-bad" in page
    assert f'<time datetime="{due.isoformat()}"' in page
    assert f'href="{LIST}?queue=email&amp;state=queued">Show these jobs' in page


def test_what_ails_a_keeper_is_told_too(viewer: Client) -> None:
    run_huey("email", "lead", "notification")
    Process.objects.filter(kind="keeper").update(duties_at=clock.now() - timedelta(minutes=3))
    assert verdict_of(overview(viewer)).startswith("The keeper here:1 has not done its duties for 3 minutes")


def test_dead_letters_are_told_since_the_first_one_with_the_way_to_them(viewer: Client, make_job: MakeJob) -> None:
    run_huey("email", "lead", "notification")
    first = clock.now() - timedelta(days=3)
    make_job(queue="email", state="failed", ended_at=clock.now())
    make_job(queue="email", state="failed", ended_at=first)
    page = overview(viewer)
    assert verdict_of(page) == "email: 2 dead letters wait for a person: retry or discard them."
    assert f'<time datetime="{first.isoformat()}"' in page
    assert 'href="/admin/jobs/cause/">Dead letters by cause' in page


def test_a_pause_is_visible_and_its_button_only_for_who_may(viewer: Client, operator: Client) -> None:
    get_broker().pause("email")
    page = overview(viewer)
    assert "email is paused: nothing starts until somebody resumes it" in page
    assert "/admin/jobs/job/queues/email/resume/" not in page
    assert "csrfmiddlewaretoken" not in page.partition('id="queue-overview"')[2].partition('id="workers"')[0]
    page = overview(operator)
    # beside the words and on the queue's card
    assert page.count('action="/admin/jobs/job/queues/email/resume/"') == 2
    assert 'action="/admin/jobs/job/queues/lead/pause/"' in page


def test_the_buttons_that_are_shown_work(operator: Client) -> None:
    get_broker().pause("email")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    page = overview(strict)
    token = re.search(r'action="[^"]*email/resume/"[^>]*><input[^>]*value="([^"]+)"', page)
    assert token is not None
    assert strict.post(f"{QUEUE}resume/", {"csrfmiddlewaretoken": token[1]}).status_code == 302
    assert not get_broker().counts("email").paused
    assert 'action="/admin/jobs/job/queues/email/pause/"' in overview(strict)


def test_the_limits_are_changed_from_here_by_who_may(client_with: MakeClient, viewer: Client) -> None:
    client = client_with("view_job", "change_limits")
    form = card(overview(client), "email").partition("<form")[2]
    names = set(re.findall(r'name="([a-z_]+)"', form))
    assert {"rate_limit", "rate_number", "rate_per", "concurrency", "concurrency_number"} <= names
    given = {"rate_limit": "code", "concurrency": "own", "concurrency_number": "7", "global_concurrency": "code"}
    assert client.post(f"{QUEUE}limits/", given).status_code == 302
    assert jobs.limits("email").concurrency == 7
    assert "limits changed" in card(overview(viewer), "email")
    assert "<form" not in card(overview(viewer), "email")
    assert viewer.post(f"{QUEUE}limits/", given).status_code == 403


# the numbers


def test_the_numbers_lead_to_lists_of_as_many_jobs(viewer: Client, make_job: MakeJob) -> None:
    later, due = clock.now() + timedelta(hours=1), clock.now() - timedelta(minutes=1)
    for number, fields in enumerate(
        (
            {"state": "queued", "ready_at": due},
            {"state": "queued", "ready_at": later},
            {"state": "queued", "ready_at": due, "attempts": 1},
            {"state": "queued", "ready_at": later, "attempts": 2},
            {"state": "active"},
            {"state": "failed", "ended_at": due},
            {"state": "blocked"},
            {"state": "completed", "ended_at": due},
            {"state": "cancelled", "ended_at": due},
        ),
        start=1,
    ):
        for _ in range(number):
            make_job(queue="email", **fields)
    page = card(overview(viewer), "email")
    links = re.findall(
        rf'<dd class="num"><a href="({re.escape(LIST)}\?queue=email&amp;state=(\w+))">([\d,]+)</a>', page
    )
    told = {state: int(number) for _link, state, number in links}
    assert told == {
        **{"waiting": 1, "scheduled": 2, "retrying": 7, "active": 5, "failed": 6, "blocked": 7, "pending": 0},
        **{"completed": 8, "cancelled": 9, "expired": 0},
    }
    for link, state, number in links:
        rows = viewer.get(link.replace("&amp;", "&")).context["cl"].result_list
        assert len(rows) == int(number), state


def test_a_queue_that_no_code_defines_any_more_is_shown_with_what_it_left(viewer: Client, make_job: MakeJob) -> None:
    make_job(queue="gone_lane", state="queued")
    page = overview(viewer)
    assert "gone_lane: no code defines this queue, and 1 of its jobs have not ended" in page
    assert "?queue=gone_lane" in page
    assert viewer.get("/admin/jobs/job/queues/gone_lane/").status_code == 200
    assert viewer.get("/admin/jobs/job/queues/never_there/").status_code == 404


def test_percentiles_errors_and_rates_are_those_of_the_counted_hours(viewer: Client) -> None:
    # of 100 starts 90 ran up to 50 ms, 9 up to 500 ms and one up to 30 s; they waited ten times as long
    count("email", "completed", [40] * 90 + [400] * 5, hours=1)
    count("email", "failed", [400] * 4, hours=1)
    count("email", "retried", [20_000], hours=1)
    count("email", "completed", [1_000] * 50, hours=30)
    said = facts(overview(viewer), "email")
    # p50: 40 of the class from 10 to 50 ms in which 90 are; p95: the fifth of nine from 250 to 500 ms
    assert said["Ran"] == "p50 32 ms p95 389 ms p99 500 ms"
    assert said["Waited"] == "p50 389 ms p95 3.9 s p99 5.0 s"
    assert said["Errors"] == "5.0 %"
    assert said["Ended"].endswith(" 99")
    week = facts(overview(viewer, f"{OVERVIEW}?range=week"), "email")
    assert week["Ended"].endswith(" 149")
    assert week["Errors"] == "3.3 %"
    assert facts(overview(viewer, f"{OVERVIEW}?range=hour"), "email")["Ended"].endswith(" 99")
    nothing = facts(overview(viewer), "lead")
    assert (nothing["Ran"], nothing["Errors"], nothing["Ended"]) == ("p50 – p95 – p99 –", "–", "0 an hour 0")


@pytest.mark.parametrize("span", ["day", "week"])
def test_what_the_charts_draw_stands_in_the_table_too(viewer: Client, span: str) -> None:
    count("email", "completed", [40] * 7, hours=3)
    count("email", "failed", [2_000_000], hours=3)
    page = overview(viewer, f"{QUEUE}?range={span}")
    bars = re.findall(r"<title>([^<]*: \d+ (?:completed|failed for good))</title>", page)
    assert [text.rpartition(": ")[2] for text in bars] == ["7 completed", "1 failed for good"]
    when = bars[0].rpartition(": ")[0]
    row = page.partition(f'<tr data-live-key="{when}">')[2].partition("</tr>")[0]
    assert text_of(row).startswith(f"{when} 7 0 1 0 12.5 %")
    assert "over 30 minutes" in row
    assert page.count("<polyline") == 0
    assert page.count('r="3"><title>') == 6


def test_an_hour_has_no_course_but_its_starts_by_class(viewer: Client) -> None:
    count("email", "completed", [40] * 7)
    page = overview(viewer, f"{QUEUE}?range=hour")
    assert "This clock hour and the one before it." in page
    assert "<title>up to 50 ms: 7</title>" in page
    assert "How attempts and jobs ended" not in page


def test_an_empty_project_says_what_will_stand_here(viewer: Client) -> None:
    page = overview(viewer, QUEUE)
    assert "Nothing has run in this time" in page
    assert "No worker process is alive" in page
    assert "nan" not in page.lower().replace("financ", "")


def test_a_deploy_is_marked_on_every_chart_and_in_the_table(viewer: Client) -> None:
    count("email", "completed", [40] * 7, hours=2)
    jobs.mark_deploy(f"v7 {HOSTILE}", at=clock.now() - timedelta(hours=2))
    page = overview(viewer, QUEUE)
    assert HOSTILE not in page
    # three charts over time and the small one
    assert page.count("<title>Deployed: v7 &lt;script&gt;") == 3
    assert page.count('<line class="job-mark"') == 1
    assert "<td>v7 &lt;script&gt;alert(1)&lt;/script&gt;</td>" in page
    jobs.mark_deploy("v1", at=clock.now() - timedelta(days=3))
    assert "v1" not in overview(viewer, QUEUE).partition('id="queue-page"')[2]
    assert "v1" in overview(viewer, f"{QUEUE}?range=week").partition('id="queue-page"')[2]


def test_a_worker_is_shown_with_what_it_runs_since_when(viewer: Client, make_job: MakeJob) -> None:
    (worker, other) = run_huey("email", "email", concurrency=8)
    since = clock.now() - timedelta(seconds=40)
    held = [
        make_job(queue="email", state="active", worker_id=worker.id, claimed_at=since + timedelta(seconds=i))
        for i in range(7)
    ]
    page = overview(viewer)
    row = page.partition(f'data-live-key="{worker.id}"')[2].partition("</tr>")[0]
    assert "7 / 8" in row
    assert row.count('/change/">') - row.count('/change/"><a') == overview_page.MOST_JOBS
    assert f'href="{LIST}{held[0].pk}/change/">test.task' in row
    assert f'<time datetime="{since.isoformat()}"' in row
    assert f'href="{LIST}?queue=email&amp;state=active">2 more' in row
    assert text_of(page.partition(f'data-live-key="{other.id}"')[2].partition("</tr>")[0]).startswith(
        "> here:1 email 0 / 8 –"
    )
    assert facts(page, "email")["Busy"] == "7 of 16, 2 workers"


# who sees it, and what strangers wrote


def test_who_may_not_view_jobs_sees_no_numbers(client_with: MakeClient, make_job: MakeJob) -> None:
    make_job(queue="email", state="failed")
    client = client_with("view_attempt")
    assert 'id="queue-overview"' not in overview(client)
    assert 'id="jobs-summary"' not in overview(client, SUMMARY)
    assert [client.get(path).status_code for path in (PART, QUEUE_PART, SUMMARY_PART, QUEUE)] == [403] * 4
    assert client_with().get(OVERVIEW).status_code == 404


def test_who_sees_one_organizations_jobs_sees_nothing_of_whole_queues(client_with: MakeClient) -> None:
    client = client_with("view_job", member_of=make_organization())
    assert 'id="queue-overview"' not in overview(client)
    assert 'id="jobs-summary"' not in overview(client, SUMMARY)
    assert [client.get(path).status_code for path in (PART, QUEUE_PART, SUMMARY_PART, QUEUE)] == [403] * 4


def test_what_is_drawn_for_one_reader_is_not_shown_to_one_who_may_less(viewer: Client, operator: Client) -> None:
    assert "/queues/lead/pause/" in overview(operator, PART)
    assert "/queues/lead/pause/" not in overview(viewer, PART)
    assert "/queues/lead/pause/" in overview(operator, PART)


def test_hostile_names_are_text(viewer: Client, make_job: MakeJob) -> None:
    (worker,) = run_huey("email", host=HOSTILE)
    make_job(queue="email", task=HOSTILE, state="active", worker_id=worker.id, claimed_at=clock.now())
    make_job(queue=HOSTILE, state="queued")
    count("email", "completed", [4], task=HOSTILE)
    for path in (OVERVIEW, QUEUE, SUMMARY):
        page = overview(viewer, path)
        assert HOSTILE not in page, path
    assert "&lt;script&gt;" in page


def test_no_page_has_a_style_or_script_of_its_own(viewer: Client, operator: Client) -> None:
    count("email", "completed", [40] * 7, hours=3)
    run_huey("email")
    for path in (OVERVIEW, QUEUE, SUMMARY):
        for tag, attributes in Tags(viewer.get(path).content.decode()).found:
            assert "style" not in attributes, (path, tag)
            assert tag != "style", path
            assert tag != "script" or attributes.get("src") or attributes.get("type") == "application/json", path
            assert not any(name.startswith("on") for name in attributes), (path, tag)


# how it follows by itself


@pytest.mark.parametrize("path", [PART, QUEUE_PART, SUMMARY_PART])
def test_nothing_new_is_a_304_and_a_change_is_not(
    viewer: Client, make_job: MakeJob, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.admin.looks.LEAST", 0.0)
    monkeypatch.setattr("jobs.admin.looks.SHARE", 0.0)
    make_job(queue="email", state="queued")
    first = viewer.get(path)
    assert first.status_code == 200
    assert first.headers["Cache-Control"] == "private, no-cache" or "private" in first.headers["Cache-Control"]
    again = viewer.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    make_job(queue="email", state="failed", ended_at=clock.now())
    changed = viewer.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_the_page_shows_what_its_first_look_would_bring(viewer: Client) -> None:
    for path, part in ((OVERVIEW, PART), (QUEUE, QUEUE_PART), (SUMMARY, SUMMARY_PART)):
        found = next(a for _tag, a in Tags(viewer.get(path).content.decode()).found if "data-live" in a)
        assert found["data-live"] == part
        tag = found["data-live-tag"] or ""
        assert viewer.get(part, headers={"If-None-Match": tag}).status_code == 304


def test_many_open_pages_are_one_look(viewer: Client, operator: Client) -> None:
    tag = viewer.get(PART).headers["ETag"]
    with CaptureQueriesContext(connection) as queries:
        for _ in range(20):
            assert viewer.get(PART, headers={"If-None-Match": tag}).status_code == 304
    assert not [query["sql"] for query in queries if "jobs_job" in query["sql"] or "jobs_taskstat" in query["sql"]]


def test_a_page_that_is_opened_is_never_an_old_look(viewer: Client, make_job: MakeJob) -> None:
    viewer.get(PART)
    make_job(queue="email", state="failed", ended_at=clock.now())
    assert "1 dead letter waits" in overview(viewer)
    # nor what is fetched after that
    assert "1 dead letter waits" in overview(viewer, PART)


def test_only_reading_is_possible_there(operator: Client) -> None:
    assert [operator.post(path).status_code for path in (PART, QUEUE_PART, SUMMARY_PART, QUEUE)] == [405] * 4


# what it costs


@pytest.mark.parametrize("path", [OVERVIEW, QUEUE, SUMMARY])
def test_the_overview_counts_no_further_than_its_cap(viewer: Client, make_job: MakeJob, path: str) -> None:
    make_job()
    with CaptureQueriesContext(connection) as queries:
        overview(viewer, path)
    statements = [query["sql"] for query in queries if "jobs_job" in query["sql"]]
    assert len(statements) <= 90
    for sql in statements:
        assert "COUNT(*)" not in sql.upper() or "LIMIT" in sql or "worker_id" in sql, sql
        assert "OFFSET" not in sql
