"""Users sign in by e-mail address, in whatever letter case they write it."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.db import IntegrityError, transaction

from accounts.models import User

pytestmark = pytest.mark.django_db


def test_an_address_is_kept_and_found_in_one_spelling() -> None:
    user = User.objects.create_user(" Ada@Example.ORG ", "an old secret")
    assert user.email == "ada@example.org"
    assert User.objects.get(email="ADA@example.org") == user
    assert authenticate(username="aDa@example.org", password="an old secret") == user


def test_no_two_users_differ_in_letter_case_alone() -> None:
    User.objects.create_user("ada@example.org")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("Ada@Example.org")
    User.objects.bulk_create([User(email="Grace@Example.org")])
    assert User.objects.filter(email="grace@example.org").update(email="GRACE@example.com") == 1
    assert set(User.objects.values_list("email", flat=True)) == {"ada@example.org", "grace@example.com"}


def test_a_user_needs_an_address() -> None:
    with pytest.raises(ValueError, match="address"):
        User.objects.create_user("")


def test_a_user_without_a_password_cannot_sign_in() -> None:
    user = User.objects.create_user("ada@example.org")
    assert not user.has_usable_password()


def test_the_command_makes_a_superuser_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "an old secret")
    call_command("createsuperuser", email="Root@example.org", interactive=False, verbosity=0)
    root = User.objects.get()
    assert (root.email, root.is_superuser, root.is_staff) == ("root@example.org", True, True)
    assert root.check_password("an old secret")
