"""Signing in: by address, throttled, and without a word on who has an account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import limits
from accounts.models import Limit, User

pytestmark = pytest.mark.django_db
PAGE = reverse("login")


@pytest.fixture(autouse=True)
def mia(settings: Any) -> User:
    return User.objects.create_user("mia@example.org", "the right one")


def sign_in(client: Client, password: str, email: str = "mia@example.org", **extra: Any) -> Any:
    return client.post(PAGE, {"username": email, "password": password}, **extra)


def problems(answer: Any) -> str:
    return " ".join(answer.context["form"].non_field_errors())


def test_who_has_the_password_gets_in(client: Client) -> None:
    assert sign_in(client, "the right one", "MIA@example.org")["Location"] == reverse("home")
    assert client.get(PAGE)["Location"] == reverse("home")


def test_the_answer_is_the_same_for_a_wrong_password_and_an_unknown_address(client: Client) -> None:
    User.objects.create_user("off@example.org", "the right one", is_active=False)
    tries = [("wrong", "mia@example.org"), ("wrong", "no@example.org"), ("the right one", "off@example.org")]
    answers = {problems(sign_in(client, password, email)) for password, email in tries}
    assert len(answers) == 1


def test_who_guesses_waits_even_with_the_right_password_and_others_get_in(client: Client, settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "sign_in": (5, 300)}
    for _try in range(5):
        assert "do not match" in problems(sign_in(client, "wrong"))
    assert "Too many attempts" in problems(sign_in(client, "the right one"))
    # from elsewhere, the owner of the address is not kept out
    assert sign_in(client, "the right one", REMOTE_ADDR="198.51.100.7").status_code == 302


def test_a_network_that_guesses_at_many_addresses_waits(client: Client, settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "sign_in_network": (10, 900)}
    for number in range(10):
        sign_in(client, "wrong", f"{number}@example.org", REMOTE_ADDR="2001:db8::1")
    # the same /64
    assert "Too many attempts" in problems(sign_in(client, "the right one", REMOTE_ADDR="2001:db8::2:1"))


def test_an_address_is_not_guessed_at_from_many_networks(client: Client, settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "sign_in_address": (10, 86_400)}
    for number in range(10):
        sign_in(client, "wrong", REMOTE_ADDR=f"198.51.100.{number}")
    assert "Too many attempts" in problems(sign_in(client, "the right one", REMOTE_ADDR="203.0.113.9"))


def test_who_signs_in_often_is_not_counted(client: Client, settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "sign_in": (3, 300), "sign_in_network": (3, 900)}
    for _try in range(10):
        assert sign_in(Client(), "the right one").status_code == 302


def test_the_limit_ends(client: Client, settings: Any) -> None:
    for _try in range(5):
        sign_in(client, "wrong")
    earlier = (timezone.now() - timedelta(minutes=6)).timestamp()
    for row in Limit.objects.all():
        row.times = [earlier] * len(row.times)
        row.save()
    assert sign_in(client, "the right one").status_code == 302


def test_no_address_is_kept_of_who_failed(client: Client) -> None:
    sign_in(client, "wrong", "secret-admirer@example.org")
    assert Limit.objects.count() == 3
    assert "admirer" not in str(list(Limit.objects.values()))


def test_the_admin_sends_to_the_one_page_where_one_signs_in(client: Client) -> None:
    answer = client.get(reverse("admin:leads_lead_changelist"), follow=True)
    assert answer.redirect_chain[-1][0].startswith(PAGE)
    assert answer.redirect_chain[-1][0].endswith("next=/admin/leads/lead/")


def test_who_has_no_business_in_the_admin_is_told_so(client: Client, mia: User) -> None:
    client.force_login(mia)
    assert client.get(reverse("admin:index"), follow=True).status_code == 403


def test_a_success_takes_back_its_own_use_and_nobody_else_s() -> None:
    start = timezone.now()
    times = [start - timedelta(seconds=seconds) for seconds in (200, 100, 0)]
    with transaction.atomic():
        for at in times:
            assert limits.take("sign_in", "one", at=at) == 0
    limits.give_back("sign_in", "one", at=times[1])
    assert Limit.objects.get().times == [times[0].timestamp(), times[2].timestamp()]


@pytest.mark.parametrize(
    "where", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_signing_in_leads_to_no_other_site(client: Client, where: str) -> None:
    form = {"username": "mia@example.org", "password": "the right one", "next": where}
    home = reverse("home")
    assert client.post(f"{PAGE}?next={quote(where)}", form)["Location"] == home
    assert client.get(PAGE, {"next": where})["Location"] == home
    client.logout()
    answer = client.get(reverse("admin:login"), {"next": where}, follow=True)
    assert all(urlsplit(address).netloc == "" for address, _status in answer.redirect_chain)


def test_visitors_whose_network_is_unknown_do_not_lock_each_other_out(client: Client, settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "sign_in_network": (3, 900), "sign_in": (3, 300)}
    for number in range(4):
        sign_in(client, "wrong", f"{number}@example.org", REMOTE_ADDR="")
        sign_in(client, "wrong", REMOTE_ADDR="")
    assert sign_in(client, "the right one", REMOTE_ADDR="").status_code == 302
