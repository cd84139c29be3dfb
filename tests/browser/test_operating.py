"""What an operator does with jobs and queues, by mouse and by keyboard."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from jobs import PermanentError, Queue, clock
from jobs.broker import get_broker
from jobs.keep import operations
from jobs.models import Job, Operation
from jobs.testing import run_jobs
from tests.admin.conftest import LIST, MakeJob, address, make_job

from .conftest import Visit

__all__ = ["make_job"]

lane = Queue("browser_lane", attempts=1)


@lane.task(name="browser.greet")
def greet(name: str) -> str:
    if name == "nobody":
        raise PermanentError("nobody is there to be greeted")
    return f"Hello {name}"


@pytest.fixture
def failed(transactional_db: None) -> Job:
    """A job that failed for good, with its attempt and traceback."""
    handle = greet.enqueue("nobody")
    run_jobs()
    job = Job.objects.get(pk=handle.id)
    assert job.state == "failed"
    return job


def press(page: Page, name: str) -> None:
    """Go by Tab from where the focus is to the button or link of this name, and press Enter."""
    for _ in range(120):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and (focused.inner_text() or focused.get_attribute("value") or "").strip() == name:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"Tab never comes to {name!r}")


def test_retry_with_the_mouse(visit: Visit, operator: User, failed: Job) -> None:
    visitor = visit(operator)
    page = visitor.open(f"{LIST}?state=failed")
    page.get_by_role("link", name=re.compile("browser.greet|" + str(failed.pk)[-8:])).first.click()
    expect(page.locator(".job-error").first).to_contain_text("nobody is there to be greeted")
    visitor.sees_nothing_wrong(closely=True)
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    failed.refresh_from_db()
    assert (failed.state, failed.run) == ("queued", 2)


def test_retry_with_the_keyboard(visit: Visit, operator: User, failed: Job) -> None:
    visitor = visit(operator)
    page = visitor.open(address(failed.pk))
    press(page, "Retry")
    page.wait_for_load_state()
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    failed.refresh_from_db()
    assert failed.state == "queued"


def test_retry_all_that_a_filter_finds(visit: Visit, operator: User, make_job: MakeJob) -> None:
    for _ in range(60):
        make_job(queue=lane.name, task=greet.name, state="failed", error="ValueError: no", ended_at=clock.now())
    visitor = visit(operator)
    page = visitor.open(f"{LIST}?state=failed&queue={lane.name}")
    page.locator("#action-toggle").check()
    page.get_by_role("button", name=re.compile("^Select all")).click()
    page.locator("select[name=action]").select_option(label="Retry the selected dead letters")
    page.get_by_role("button", name=re.compile("^(Go|Run)$")).click()  # Django 5.2 says "Go", 6.1 "Run"
    expect(page.locator("#content")).to_contain_text("60 jobs match the filter")
    visitor.sees_nothing_wrong()
    page.locator(".submit-row .default").click()
    expect(page.locator("#content")).to_contain_text(re.compile("operation", re.IGNORECASE))
    visitor.sees_nothing_wrong()
    assert Operation.objects.get().ended_at is None
    while operations.run():
        pass
    # nobody reloads the page
    expect(page.locator("#operation-now")).to_contain_text("60 of 60 done")
    assert Job.objects.filter(state="queued").count() == 60


def test_pause_and_resume_a_queue(visit: Visit, operator: User) -> None:
    visitor = visit(operator)
    page = visitor.open("/admin/jobs/")
    visitor.sees_nothing_wrong(closely=True)
    card = page.get_by_role("region", name="email", exact=True)
    card.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("region", name="email", exact=True)).to_contain_text("paused")
    assert get_broker().counts("email").paused
    page.get_by_role("region", name="email", exact=True).get_by_role("button", name="Resume").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="email", exact=True).get_by_role("button", name="Pause")).to_be_visible()


def test_change_a_limit_and_let_the_code_decide_again(visit: Visit, operator: User) -> None:
    visitor = visit(operator)
    page = visitor.open("/admin/jobs/")
    card = page.get_by_role("region", name="email", exact=True)
    card.get_by_text("Change concurrency and limits").click()
    card.get_by_label("Concurrency of each worker process").select_option("own")
    card.get_by_label("Jobs at once").first.fill("0")
    card.get_by_role("button", name="Save").click()
    # what cannot be is said beside the field, with what was typed
    expect(page.locator(".errorlist").first).to_be_visible()
    visitor.sees_nothing_wrong()
    page.get_by_label("Jobs at once").first.fill("2")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_be_visible()
    visitor.open("/admin/jobs/")
    expect(page.get_by_role("region", name="email", exact=True)).to_contain_text("limits changed")


def test_edit_the_arguments_of_a_waiting_job(visit: Visit, superuser: User) -> None:
    job = Job.objects.get(pk=greet.using(delay=timedelta(hours=1)).enqueue("Ada").id)
    visitor = visit(superuser)
    page = visitor.open(address(job.pk))
    page.get_by_role("link", name="Edit").click()
    visitor.sees_nothing_wrong(closely=True)
    page.locator("textarea").fill('{"name": 5}')
    page.locator(".submit-row .default").click()
    expect(page.locator(".errorlist").first).to_be_visible()
    visitor.sees_nothing_wrong()
    page.locator("textarea").fill('{"name": "Grace <script>"}')
    page.locator(".submit-row .default").click()
    expect(page.locator("#content")).to_contain_text("Grace <script>")


def test_the_query_box_finds_by_keyboard(visit: Visit, operator: User, failed: Job, make_job: MakeJob) -> None:
    make_job(state="completed")
    visitor = visit(operator)
    page = visitor.open(LIST)
    visitor.sees_nothing_wrong(closely=True)
    page.locator("#searchbar").focus()
    page.keyboard.type(f"queue:{lane.name} state:failed")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    visitor.sees_nothing_wrong()


def test_the_overview_follows_by_itself_and_can_be_told_not_to(
    visit: Visit, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.admin.looks.LONGEST", 0.5)  # else a busy machine looks seldom
    visitor = visit(operator)
    page = visitor.open("/admin/jobs/")
    card = page.get_by_role("region", name=lane.name)
    greet.using(delay=timedelta(hours=1)).enqueue("Ada")
    # nobody reloads the page
    expect(card.get_by_role("link", name="1", exact=True)).to_be_visible()
    page.locator("[data-live-switch]").click()
    expect(page.locator("[data-live-switch]")).to_have_attribute("aria-pressed", "false")


def test_the_page_of_a_queue_has_charts_and_the_same_as_a_table(visit: Visit, operator: User) -> None:
    for name in ("Ada", "Grace", "nobody"):
        greet.enqueue(name)
    run_jobs()
    visitor = visit(operator)
    page = visitor.open("/admin/jobs/")
    page.get_by_role("region", name=lane.name).get_by_role("link", name=lane.name).click()
    visitor.sees_nothing_wrong(closely=True)
