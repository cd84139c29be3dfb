"""Many leads at once: a file that is imported, the list that is exported, and a campaign."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Organization
from emails.models import Campaign
from jobs.testing import run_jobs
from leads.models import Lead
from tests.leads.people import make_lead

from .conftest import Visit

ROWS = "Name,Email\nAda Lovelace,ada@analytical.example\nGrace Hopper,grace@navy.example\n<script>,not an address\n"


def test_a_file_is_imported_with_one_row_that_is_wrong(visit: Visit, owner: Any) -> None:
    visitor = visit(owner)
    page = visitor.open("/leads/imports/")
    visitor.sees_nothing_wrong()
    page.locator("input[type=file]").set_input_files(
        {"name": "leads.csv", "mimeType": "text/csv", "buffer": ROWS.encode()}
    )
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What is in the file?")
    visitor.sees_nothing_wrong(closely=True)
    page.locator("form.fields button[type=submit]").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This is how the file is read")
    expect(page.locator(".warning")).to_contain_text("1 of the first 3 rows is wrong")
    visitor.sees_nothing_wrong(closely=True)
    page.get_by_role("button", name="Import 3 rows").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    run_jobs()
    # nobody reloads the page
    expect(page.locator("main")).to_contain_text("Done 100 %")
    visitor.sees_nothing_wrong(closely=True)
    assert set(Lead.objects.values_list("name", flat=True)) == {"Ada Lovelace", "Grace Hopper"}


def test_the_list_is_exported(visit: Visit, owner: Any, acme: Organization) -> None:
    make_lead(acme, name="=HYPERLINK(1)", assignee=owner)
    visitor = visit(owner)
    page = visitor.open("/leads/?show=all")
    page.get_by_role("link", name="Export").click()
    visitor.sees_nothing_wrong(closely=True)
    with page.expect_download() as download:
        page.locator("main form button[type=submit]").first.click()
    assert "HYPERLINK" in download.value.path().read_text(encoding="utf-8-sig")


def test_a_campaign_is_written_looked_at_and_sent(visit: Visit, owner: Any, acme: Organization) -> None:
    make_lead(acme, marketing_consent_at=timezone.now())
    visitor = visit(owner)
    page = visitor.open("/campaigns/")
    visitor.sees_nothing_wrong()
    page.get_by_role("link", name="New campaign").first.click()
    with visitor.expecting(400):
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".errorlist").first).to_be_visible()
    visitor.sees_nothing_wrong(closely=True)
    page.locator("[name=name]").fill("Autumn")
    page.locator("[name=subject]").fill("News for {name}")
    page.locator("[name=text]").fill("Hello {name}, we have news.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Autumn")
    visitor.sees_nothing_wrong(closely=True)
    campaign = Campaign.objects.get()
    visitor.open(f"/campaigns/{campaign.pk}/start/")
    visitor.sees_nothing_wrong(closely=True)
    page.get_by_role("button", name="Send to 1 lead now").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Autumn")
    campaign.refresh_from_db()
    assert campaign.state != "draft"
    visitor.sees_nothing_wrong()
