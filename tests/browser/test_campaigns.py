"""A campaign in a browser: written, looked at, sent, watched, paused, resumed and cancelled."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from accounts.models import Organization
from emails.models import Campaign, EmailMessage
from emails.tasks import send_bulk_email
from leads.models import EffectState
from tests.emails.campaigning import make_campaign, willing
from tests.leads.people import make_lead

from .conftest import Visit
from .visitor import Visitor


def sees_nothing_wrong(visitor: Visitor) -> None:
    found = visitor.look(closely=True)
    assert not found, "\n".join(found)


def test_campaign_from_the_first_word_to_its_end(visit: Visit, owner: Any, acme: Organization) -> None:
    for number in range(3):
        willing(acme, name=f"<b>Ada</b> {number}", email=f"ada{number}@acme.example")
    make_lead(acme, name="Unwilling", email="no@acme.example")
    visitor = visit(owner)
    page = visitor.open("/campaigns/")
    sees_nothing_wrong(visitor)
    page.get_by_role("link", name="New campaign").click()
    page.locator("#id_name").fill("Spring")
    page.locator("#id_subject").fill("News for {name}")
    page.locator("#id_text").fill("Hello {nmae}")
    with visitor.expecting(400):
        page.get_by_role("button", name="Save").click()
    expect(page.locator(".errorlist")).to_contain_text("{nmae} cannot be inserted")
    sees_nothing_wrong(visitor)
    page.locator("#id_text").fill("Hello {name}, see https://example.org/spring")
    page.get_by_label("new", exact=True).check()
    page.get_by_role("button", name="Save").click()

    letter = page.frame_locator("iframe.letter")
    expect(letter.locator("body")).to_contain_text("Hello <b>Ada</b>")
    expect(letter.get_by_role("link", name="https://example.org/spring")).to_be_visible()
    expect(page.locator(".reach-of")).to_contain_text("No consent")
    page.get_by_text("As plain text").click()
    expect(page.locator("pre")).to_contain_text("Unsubscribe")
    page.get_by_role("searchbox").fill("Unwilling")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Unwilling").click()
    expect(page.locator(".warning")).to_contain_text("has not agreed")
    sees_nothing_wrong(visitor)

    page.get_by_role("link", name="Send…").click()
    sees_nothing_wrong(visitor)
    page.get_by_role("button", name="Send to 3 leads now").click()
    expect(page.locator(".counts")).to_contain_text("3")
    campaign = Campaign.objects.get()
    assert campaign.state == Campaign.State.SENDING

    # the page follows by itself
    send_bulk_email.call(campaign.pk)
    first = EmailMessage.objects.order_by("pk")[:1].get()
    EmailMessage.objects.filter(pk=first.pk).update(state=EffectState.SENT)
    expect(page.locator(".share strong")).to_have_text("1")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    sees_nothing_wrong(visitor)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("link", name="Cancel the campaign").click()
    expect(page.locator(".warning")).to_contain_text("2 leads have not got it yet")
    sees_nothing_wrong(visitor)
    page.get_by_role("button", name="Cancel the campaign").click()
    expect(page.locator(".state.cancelled")).to_be_visible()
    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.CANCELLED


def test_campaign_is_scheduled_and_taken_back(visit: Visit, owner: Any, acme: Organization) -> None:
    campaign = make_campaign(1, acme)
    visitor = visit(owner)
    page = visitor.open(f"/campaigns/{campaign.pk}/start/")
    with visitor.expecting(400):
        page.get_by_role("button", name="Schedule").click()
    expect(page.locator(".errorlist")).to_be_visible()
    page.evaluate("document.querySelector('#id_at').value = new Date(Date.now() + 864e5).toISOString().slice(0, 16)")
    page.get_by_role("button", name="Schedule").click()
    expect(page.locator(".heading .state.scheduled")).to_be_visible()
    sees_nothing_wrong(visitor)
    page.get_by_role("button", name="Make it a draft again").click()
    expect(page.locator(".heading .state.draft")).to_be_visible()


def test_mails_that_failed_are_sent_again(visit: Visit, owner: Any, acme: Organization) -> None:
    campaign = make_campaign(2, acme, state=Campaign.State.SENT)
    for lead, state in zip(acme.leads.all(), (EffectState.REFUSED, EffectState.UNCLEAR), strict=True):
        EmailMessage.objects.create(
            kind="campaign",
            key=f"{lead.pk}",
            to=lead.email,
            lead=lead,
            campaign=campaign,
            organization=acme,
            state=state,
            error="550 5.1.1 no such user",
        )
    visitor = visit(owner)
    page = visitor.open(f"/campaigns/{campaign.pk}/emails/")
    sees_nothing_wrong(visitor)
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status")).to_contain_text("is being sent again")
    page.get_by_role("link", name="Unclear").click()
    page.get_by_role("link", name="Send again…").click()
    expect(page.locator(".warning")).to_contain_text("twice")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status")).to_contain_text("is being sent again")
    assert EmailMessage.objects.filter(state=EffectState.PENDING).count() == 2
