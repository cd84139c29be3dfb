"""Signing in and out, and a new password."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core import mail
from playwright.sync_api import expect

from accounts.models import User
from jobs.testing import run_jobs

from .conftest import Visit


def test_sign_in_with_the_mouse_and_out_again(visit: Visit, agent: Any) -> None:
    visitor = visit()
    page = visitor.open("/leads/")
    visitor.sees_nothing_wrong(closely=True)
    page.get_by_label("Email").fill(agent.email)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Password")).to_have_value("")
    visitor.sees_nothing_wrong()
    page.get_by_label("Email").fill(agent.email)
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Leads")
    page.locator("details.menu summary").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_sign_in_with_the_keyboard(visit: Visit, agent: Any) -> None:
    visitor = visit()
    page = visitor.open("/accounts/login/")
    page.get_by_label("Email").focus()
    page.keyboard.type(agent.email)
    page.keyboard.press("Tab")
    page.keyboard.type("secret")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Leads")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")


def test_staff_signs_in_at_the_admin(visit: Visit, superuser: User) -> None:
    visitor = visit()
    page = visitor.open("/admin/")
    visitor.sees_nothing_wrong(closely=True)
    page.get_by_label("Email").fill(superuser.email)
    page.get_by_label("Password").fill("secret")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{visitor.site}/admin/")
    page.get_by_role("button", name=re.compile("sign out|log out", re.IGNORECASE)).click()
    expect(page).not_to_have_url(f"{visitor.site}/admin/")


def test_a_new_password_by_mail(visit: Visit, agent: Any) -> None:
    visitor = visit()
    page = visitor.open("/accounts/login/")
    page.get_by_role("link", name="Forgot your password?").click()
    visitor.sees_nothing_wrong()
    page.get_by_label("Email").fill(agent.email)
    page.get_by_role("button", name="Send link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your email")
    visitor.sees_nothing_wrong()
    run_jobs()
    (link,) = re.findall(rf"{re.escape(visitor.site)}(\S+/password/reset/\S+)", str(mail.outbox[-1].body))
    visitor.open(link)
    visitor.sees_nothing_wrong()
    for label in ("New password", "New password confirmation"):
        page.get_by_label(label, exact=True).fill("ten green lanterns")
    page.get_by_role("button", name="Save password").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your password has been changed")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Email").fill(agent.email)
    page.get_by_label("Password").fill("ten green lanterns")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Leads")


@pytest.mark.parametrize("path", ["/accounts/password/reset/x/y-z/", "/accounts/invitation/"])
def test_a_link_that_no_longer_works_says_so(visit: Visit, path: str) -> None:
    visitor = visit()
    with visitor.expecting(410):
        visitor.open(path)
    visitor.sees_nothing_wrong()
