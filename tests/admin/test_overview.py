"""The overview at /admin/jobs/: what is wrong in words, then the numbers with links to the jobs behind them."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs import clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.models import Process

from .conftest import MakeClient, MakeJob

OVERVIEW = "/admin/jobs/"


def overview(client: Client) -> str:
    response = client.get(OVERVIEW)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def verdict_of(page: str) -> str:
    return page.partition('role="status">')[2].partition("</p>")[0]


def run_huey(*queues: str) -> None:
    """Make the processes of `run_huey` known."""
    for kind, queue in (("keeper", ""), *(("worker", queue) for queue in queues)):
        get_broker().register(ProcessRecord(clock.new_id(), kind, queue, "here", 1, 1), 30)


def test_all_is_well_when_everything_is_worked(viewer: Client) -> None:
    run_huey("email", "lead", "notification")
    assert verdict_of(overview(viewer)) == "All is well."


def test_the_first_line_names_the_trouble_and_the_remedy(viewer: Client, make_job: MakeJob) -> None:
    run_huey("lead")
    make_job(queue="email", state="queued", ready_at=clock.now() - timedelta(minutes=4, seconds=1))
    page = overview(viewer)
    assert verdict_of(page).startswith("email: nobody works this queue, its oldest job has waited for 4 minutes: start")
    assert "page-verdict tone-bad" in page


def test_what_ails_a_keeper_is_told_too(viewer: Client) -> None:
    run_huey("email", "lead", "notification")
    Process.objects.filter(kind="keeper").update(duties_at=clock.now() - timedelta(minutes=3))
    assert verdict_of(overview(viewer)).startswith("The keeper here:1 has not done its duties for 3 minutes")


def test_the_numbers_lead_to_the_jobs_behind_them(viewer: Client, make_job: MakeJob) -> None:
    for state in ("failed", "failed", "completed"):
        make_job(queue="email", state=state)
    page = overview(viewer)
    assert '<a href="/admin/jobs/job/?queue=email&amp;state=failed">2</a>' in page
    assert '<a href="/admin/jobs/job/?queue=email&amp;state=completed">1</a>' in page
    assert '<a href="/admin/jobs/job/?queue=lead&amp;state=failed">0</a>' in page


def test_a_queue_that_no_code_defines_any_more_is_shown_with_what_it_left(viewer: Client, make_job: MakeJob) -> None:
    make_job(queue="gone_lane", state="queued")
    page = overview(viewer)
    assert "gone_lane: no code defines this queue, and 1 of its jobs have not ended" in page
    assert "?queue=gone_lane" in page


def test_a_pause_is_visible_and_its_button_only_for_who_may(viewer: Client, operator: Client) -> None:
    get_broker().pause("email")
    page = overview(viewer)
    assert "email is paused: nothing starts until somebody resumes it" in page
    assert "/admin/jobs/job/queues/email/" not in page
    page = overview(operator)
    assert 'action="/admin/jobs/job/queues/email/resume/"' in page
    assert 'action="/admin/jobs/job/queues/lead/pause/"' in page
    assert page.count("csrfmiddlewaretoken") >= 3


def test_who_may_not_view_jobs_sees_no_numbers(client_with: MakeClient, make_job: MakeJob) -> None:
    make_job(queue="email", state="failed")
    assert 'id="queue-overview"' not in overview(client_with("view_attempt"))
    assert client_with().get(OVERVIEW).status_code == 404


def test_the_overview_counts_no_further_than_its_cap(viewer: Client, make_job: MakeJob) -> None:
    make_job()
    with CaptureQueriesContext(connection) as queries:
        overview(viewer)
    statements = [query["sql"] for query in queries if "jobs_job" in query["sql"]]
    assert len(statements) <= 60
    for sql in statements:
        assert "COUNT(*)" not in sql.upper() or "LIMIT" in sql, sql
        assert "OFFSET" not in sql
