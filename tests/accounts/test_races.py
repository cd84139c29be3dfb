"""Two at once: owners who take each other out, one invitation accepted twice, guesses side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.exceptions import ValidationError
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import limits
from accounts.models import Invitation, Limit, Membership, Organization, Role, User
from accounts.services import accept_invitation, change_role, invite_member, remove_member, withdraw_invitation
from accounts.tokens import invitation_token
from tests.leads.people import make_member, make_organization

pytestmark = pytest.mark.usefixtures("each_database")
SECRET = "an entirely new one"
FORM = {"first_name": "Ada", "last_name": "Lovelace", "password1": SECRET, "password2": SECRET}
ROUNDS = 5


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What each of the acts returned, or raised; all begin together, each in a thread with a connection of its own."""
    ready = threading.Barrier(len(acts))
    outcomes: list[Any] = [None] * len(acts)

    def run(place: int, act: Callable[[], Any]) -> None:
        try:
            ready.wait(60)
            outcomes[place] = act()
        except Exception as error:
            outcomes[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=one) for one in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return outcomes


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("act", ["demote", "remove", "delete selected", "deleted as users"])
def test_two_owners_who_take_each_other_out_leave_one(act: str) -> None:
    acme = make_organization("acme")
    boss = User.objects.create_superuser("root@example.org")
    for _round in range(ROUNDS):
        User.objects.exclude(pk=boss.pk).delete()
        people = [make_member(acme, name, Role.OWNER) for name in ("one", "two")]
        outcomes = at_once(*[partial(_take_out, act, person, signed_in(boss)) for person in people])
        assert acme.memberships.filter(role=Role.OWNER).count() == 1, outcomes
        assert all(one in {None, 200, 302} or isinstance(one, ValidationError) for one in outcomes), outcomes


def _take_out(act: str, person: Any, client: Client) -> Any:
    membership = person.memberships.get()
    if act == "demote":
        return change_role(membership, Role.AGENT)
    if act == "remove":
        return remove_member(membership)
    page, chosen = ("membership", membership) if act == "delete selected" else ("user", person)
    data = {"action": "delete_selected", "_selected_action": [str(chosen.pk)], "post": "yes"}
    return client.post(reverse(f"admin:accounts_{page}_changelist"), data).status_code


@pytest.mark.parametrize("who", ["new", "known"])
def test_an_invitation_that_is_accepted_twice_at_once_makes_one_member(who: str) -> None:
    acme = make_organization("acme")
    for number in range(ROUNDS):
        email = f"ada{number}@example.org"
        user = User.objects.create_user(email) if who == "known" else None
        invitation = invite_member(acme, email, by=None)
        path = reverse("accounts:invitation", args=[invitation_token(invitation)])
        clients = [Client(), Client()]
        for client in clients:
            if user is not None:
                client.force_login(user)
            client.get(path)
        answers = at_once(*[partial(client.post, reverse("accounts:join"), FORM) for client in clients])
        statuses = [getattr(answer, "status_code", answer) for answer in answers]
        assert 302 in statuses, statuses
        assert set(statuses) <= {200, 302, 410}, statuses
        assert Membership.objects.filter(user__email=email).count() == 1
        assert User.objects.filter(email=email).count() == 1


def test_an_invitation_is_accepted_or_withdrawn() -> None:
    acme = make_organization("acme")
    for number in range(ROUNDS):
        user = User.objects.create_user(f"ada{number}@example.org")
        invitation = invite_member(acme, user.email)
        joined, withdrawn = at_once(
            partial(accept_invitation, invitation.pk, user), partial(withdraw_invitation, invitation.pk)
        )
        state = Invitation.objects.get(pk=invitation.pk).state
        assert (state == "accepted") == isinstance(joined, Membership) == (withdrawn is False), (joined, withdrawn)
        assert Membership.objects.filter(user=user).exists() == (state == "accepted")


def test_an_invitation_that_is_sent_again_while_it_is_accepted_stops_neither() -> None:
    acme = make_organization("acme")
    for number in range(ROUNDS):
        user = User.objects.create_user(f"ada{number}@example.org")
        invitation = invite_member(acme, user.email)
        outcomes = at_once(partial(accept_invitation, invitation.pk, user), partial(invite_member, acme, user.email))
        assert all(isinstance(one, (Membership, Invitation, ValidationError)) for one in outcomes), outcomes
        assert Membership.objects.filter(user=user).count() == 1
        assert not Invitation.objects.filter(email=user.email, state="open").exists()


def test_one_address_is_invited_twice_at_once_by_one_open_invitation() -> None:
    acme = make_organization("acme")
    outcomes = at_once(*[lambda: invite_member(acme, "ada@example.org")] * 4)
    assert all(isinstance(one, Invitation) for one in outcomes), outcomes
    assert Invitation.objects.count() == 1


def test_parallel_guesses_are_no_more_than_the_limit(settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "sign_in": (3, 300)}
    User.objects.create_user("mia@example.org", "the right one")

    def guess() -> str:
        answer = Client().post(reverse("login"), {"username": "mia@example.org", "password": "wrong"})
        return answer.content.decode()

    said = at_once(*[guess] * 8)
    assert [sum(text in str(one) for one in said) for text in ("do not match", "Too many")] == [3, 5]


def test_old_limits_are_cleaned_without_standing_in_each_other_s_way(settings: Any) -> None:
    addresses = [f"{number}@example.org" for number in range(8)]
    for _round in range(ROUNDS):
        Limit.objects.all().delete()
        with transaction.atomic():
            for address in addresses:
                limits.take("sign_in_address", address)
        Limit.objects.update(ends_at="2020-01-01T00:00:00Z")

        def sign_in(address: str) -> int:
            answer = Client().post(reverse("login"), {"username": address, "password": "wrong"})
            return answer.status_code

        assert at_once(*[lambda address=address: sign_in(address) for address in addresses]) == [200] * 8
        assert not Limit.objects.filter(ends_at__lt=timezone.now()).exists()


IN_TRANSACTION: list[bool] = []


class Watched(PBKDF2PasswordHasher):
    """Notes whether a transaction is open while it works."""

    algorithm = "watched"
    iterations = 1

    def verify(self, password: str, encoded: str) -> bool:
        IN_TRANSACTION.append(connection.in_atomic_block)
        return super().verify(password, encoded)


@pytest.fixture
def atomic_requests(each_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


@pytest.mark.usefixtures("atomic_requests")
def test_no_transaction_is_open_while_a_password_is_looked_at_and_a_refused_form_still_counts(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["tests.accounts.test_races.Watched"]
    User.objects.create_user("mia@example.org", "the right one")
    IN_TRANSACTION.clear()
    for _try in range(5):
        Client().post(reverse("login"), {"username": "mia@example.org", "password": "wrong"})
    assert IN_TRANSACTION == [False] * 5
    answer = Client().post(reverse("login"), {"username": "mia@example.org", "password": "the right one"})
    assert "Too many" in str(answer.context["form"].non_field_errors())


@pytest.mark.usefixtures("atomic_requests")
def test_a_refused_invitation_leaves_the_count_right_where_requests_are_transactions(settings: Any) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "invitation": (2, 86_400)}
    acme: Organization = make_organization("acme")
    client = signed_in(make_member(acme, "boss", Role.OWNER))
    form = {"organization": str(acme.pk), "role": "agent", "language": ""}
    answers = [
        client.post(reverse("admin:accounts_invitation_add"), {**form, "email": f"{number}@example.org"})
        for number in range(3)
    ]
    assert [answer.status_code for answer in answers] == [302, 302, 200]
    assert "too many invitations" in str(answers[-1].context["adminform"].form.errors)
    assert Invitation.objects.count() == 2
