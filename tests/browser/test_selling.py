"""A day of somebody who sells: leads, their board, what is done with one, and the inbox."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from accounts.models import Organization
from leads.models import Lead, LeadStatus, Note
from notifications.models import Notification
from tests.leads.people import make_lead

from .conftest import Visit


@pytest.fixture
def lead(acme: Organization) -> Lead:
    """Ada, whom nobody has taken yet."""
    make_lead(acme, name="Grace Hopper", email="grace@navy.example")
    return make_lead(acme, name="Ada Lovelace", score=80, phone="+5511961234567", company="Analytical Engines")


def test_search_open_take_move_and_note_with_the_mouse(visit: Visit, agent: Any, lead: Lead) -> None:
    visitor = visit(agent)
    page = visitor.open("/leads/?show=all")
    page.get_by_role("searchbox").fill("Ada")
    page.keyboard.press("Enter")
    expect(page.locator("[data-rows] tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Ada Lovelace").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")
    visitor.sees_nothing_wrong(closely=True)
    page.get_by_role("button", name="Take it").click()
    expect(page.get_by_role("status")).to_be_visible()
    page.locator("#status_status").select_option("contacted")
    page.get_by_role("button", name="Change").click()
    expect(page.locator(".aside .state.contacted").first).to_be_visible()
    page.locator("#note_text").fill("Called <b>her</b>: forty seats.")
    page.get_by_role("button", name="Add a note").click()
    expect(page.locator(".timeline")).to_contain_text("Called <b>her</b>: forty seats.")
    lead.refresh_from_db()
    assert (lead.assignee, lead.status, Note.objects.get().author) == (agent, LeadStatus.CONTACTED, agent)
    visitor.sees_nothing_wrong()


def test_list_with_the_keyboard(visit: Visit, agent: Any, lead: Lead) -> None:
    visitor = visit(agent)
    page = visitor.open("/leads/?show=all")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("searchbox").blur()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Ada Lovelace")).to_be_focused()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Grace Hopper")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")


def test_a_card_is_moved_on_the_board(visit: Visit, agent: Any, lead: Lead) -> None:
    visitor = visit(agent)
    page = visitor.open("/leads/board/?show=all")
    visitor.sees_nothing_wrong(closely=True)
    page.get_by_label("Move Ada Lovelace").focus()
    page.keyboard.press("Enter")
    page.locator("details[open] button").first.click()
    expect(page.get_by_role("status")).to_be_visible()
    lead.refresh_from_db()
    assert lead.status != LeadStatus.NEW


def test_a_new_lead_with_a_mistake_then_without(visit: Visit, owner: Any) -> None:
    visitor = visit(owner)
    page = visitor.open("/leads/")
    page.get_by_role("link", name="New lead").first.click()
    page.locator("[name=email]").fill("nobody")
    with visitor.expecting(400):
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".errorlist").first).to_be_visible()
    visitor.sees_nothing_wrong(closely=True)
    page.locator("[name=name]").fill("Ada")
    page.locator("[name=email]").fill("ada@analytical.example")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada")


def test_the_bell_rings_and_a_line_is_read(visit: Visit, agent: Any, lead: Lead) -> None:
    visitor = visit(agent)
    page = visitor.open("/notifications/")
    expect(page.get_by_role("heading", name="Nothing yet")).to_be_visible()
    for number in (1, 2, 3):
        Notification.objects.create(
            user=agent,
            organization=lead.organization,
            kind="INFO",
            title=f"News {number}",
            action_url=lead.get_absolute_url(),
        )
    # nobody reloads the page
    expect(page.locator(".news").first).to_have_text("3")
    expect(page.get_by_role("link", name="News 3")).to_be_visible()
    visitor.sees_nothing_wrong(closely=True)
    page.get_by_role("button", name="Mark read").first.click()
    expect(page.get_by_text("2 unread", exact=True)).to_be_visible()
    page.get_by_role("link", name=re.compile("^News 2")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")
    page.go_back()
    page.reload()
    page.get_by_role("button", name="Mark all read").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Mark all read")).to_have_count(0)
    assert not Notification.objects.filter(read_at=None).exists()


def test_preferences_with_a_mistake_then_without(visit: Visit, agent: Any) -> None:
    visitor = visit(agent)
    page = visitor.open("/notifications/preferences/")
    page.locator("[name=phone]").fill("not a number")
    with visitor.expecting(400):
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".errorlist").first).to_be_visible()
    visitor.sees_nothing_wrong(closely=True)
    page.locator("[name=phone]").fill("+5511961234567")
    page.locator("[name=quiet_from]").fill("22:00")
    page.locator("[name=quiet_until]").fill("07:00")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Your preferences are saved.")
    expect(page.locator("[name=quiet_from]")).to_have_value(re.compile("22:00"))
