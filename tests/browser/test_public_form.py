"""A stranger writes to an organization by its form."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from accounts.models import Organization
from leads.models import Lead

from .conftest import Visit


def test_the_form_with_mistakes_then_thanks(visit: Visit, acme: Organization) -> None:
    visitor = visit()
    page = visitor.open("/forms/acme/")
    visitor.sees_nothing_wrong(closely=True)
    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("E-mail").fill("ada@nowhere")
    with visitor.expecting(400):
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("alert").first).to_be_visible()
    # what was typed is still there, and the field says what is wrong with it
    expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")
    expect(page.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true")
    visitor.sees_nothing_wrong(closely=True)
    page.get_by_label("E-mail").fill("ada@analytical.example")
    page.get_by_label("Message").fill("<script>alert(1)</script> forty seats, please")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you")
    visitor.sees_nothing_wrong(closely=True)
    assert Lead.objects.get().name == "Ada Lovelace"


def test_the_form_with_the_keyboard_and_in_portuguese(visit: Visit, acme: Organization) -> None:
    visitor = visit(locale="pt-BR")
    page = visitor.open("/forms/acme/")
    page.locator("[name=name]").focus()
    page.keyboard.type("Zoë")
    page.keyboard.press("Tab")
    page.keyboard.type("zoe@analytical.example")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Obrigado")
    assert Lead.objects.get().name == "Zoë"


def test_too_many_messages_are_refused_without_losing_the_text(visit: Visit, acme: Organization, settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "network": (1, 3_600)}
    visitor = visit()
    page = visitor.open("/forms/acme/")
    for number in (1, 2):
        visitor.open("/forms/acme/")
        page.get_by_label("Name").fill(f"Ada {number}")
        page.get_by_label("E-mail").fill(f"ada{number}@analytical.example")
        with visitor.expecting(429):
            page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("Too many messages")
    expect(page.get_by_label("Name")).to_have_value("Ada 2")
    visitor.sees_nothing_wrong()
