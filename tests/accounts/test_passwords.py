"""A new password by mail: the link is made while the mail is sent, and is nowhere else."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.services import invite_member
from emails.models import EmailMessage
from jobs.models import Attempt, Job
from jobs.testing import JobsRunner
from tests.leads.people import make_organization

pytestmark = pytest.mark.django_db
PAGE = reverse("accounts:password_reset")
NEW = "quite another secret"


@pytest.fixture(autouse=True)
def mia() -> User:
    return User.objects.create_user("mia@example.org", "the old one", first_name="Mia")


def link(text: str) -> str:
    (address,) = re.findall(r"https?://\S+/accounts/password/reset/\S+", text)
    return urlsplit(address).path


def ask(client: Client, email: str = "mia@example.org", **extra: Any) -> Any:
    return client.post(PAGE, {"email": email}, **extra)


def test_the_link_in_the_mail_lets_its_reader_choose_a_new_password(client: Client, jobs_runner: JobsRunner) -> None:
    assert ask(client, "Mia@Example.org")["Location"] == reverse("accounts:password_reset_sent")
    jobs_runner.run()
    assert {(job.task, job.queue, job.priority, job.scope) for job in Job.objects.all()} == {
        ("emails.send_password_reset", "notification", 1, ""),
        ("emails.send_account_email", "email", 1, ""),
    }
    (message,) = mail.outbox
    assert message.to == ["mia@example.org"]
    form = client.get(link(str(message.body)), follow=True)
    address = form.redirect_chain[-1][0]
    done = client.post(address, {"new_password1": NEW, "new_password2": NEW})
    assert done["Location"] == reverse("accounts:password_reset_done")
    assert client.get(done["Location"]).status_code == 200
    assert User.objects.get().check_password(NEW)
    # once
    again = Client().get(link(str(message.body)), follow=True)
    assert "no longer works" in again.content.decode()


def test_the_token_is_in_no_row_and_no_log(client: Client, jobs_runner: JobsRunner, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    ask(client)
    jobs_runner.run()
    token = link(str(mail.outbox[0].body)).rstrip("/").rpartition("/")[2]
    assert len(token) > 30
    row = EmailMessage.objects.get()
    assert "…" in row.text
    for model in apps.get_models():
        assert token not in str(list(model._base_manager.values())), model
    assert token not in caplog.text


def test_each_try_to_send_a_mail_has_the_same_link(client: Client, jobs_runner: JobsRunner) -> None:
    from emails.composing import compose

    ask(client)
    jobs_runner.run(queue="notification")
    message = EmailMessage.objects.get()
    assert compose(message) == compose(message)


@pytest.mark.parametrize("email", ["nobody@example.org", "off@example.org"])
def test_nothing_tells_whether_somebody_has_an_account(client: Client, jobs_runner: JobsRunner, email: str) -> None:
    User.objects.create_user("off@example.org", "x", is_active=False)
    known, unknown = ask(client), ask(client, email)
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    jobs_runner.run()
    assert [message.to for message in mail.outbox] == [["mia@example.org"]]


def test_a_request_for_nobody_is_as_much_work(client: Client, jobs_runner: JobsRunner) -> None:
    ask(client, "warm@example.org")
    statements = []
    for email in ("mia@example.org", "nobody@example.org"):
        with CaptureQueriesContext(connection) as queries:
            ask(client, email)
        statements.append([re.sub(r"'[^']*'|_x\d+", "?", query["sql"]) for query in queries])
    assert statements[0] == statements[1]
    assert len(statements[0]) > 5
    assert "nobody@" not in str(list(Job.objects.values()))
    jobs_runner.run()
    assert [message.to for message in mail.outbox] == [["mia@example.org"]]


def test_an_address_gets_three_mails_an_hour_at_most(client: Client, jobs_runner: JobsRunner) -> None:
    for number in range(6):
        assert ask(client, REMOTE_ADDR=f"198.51.100.{number}").status_code == 302
    jobs_runner.run()
    assert len(mail.outbox) == 3


def test_a_network_asks_for_so_many_only(client: Client, settings: Any, jobs_runner: JobsRunner) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "reset_network": (4, 3_600)}
    for number in range(8):
        User.objects.create_user(f"{number}@example.org", "x")
        ask(client, f"{number}@example.org")
    jobs_runner.run()
    assert len(mail.outbox) == 4


def test_a_link_that_was_not_used_for_a_day_ends(client: Client, jobs_runner: JobsRunner, settings: Any) -> None:
    ask(client)
    jobs_runner.run(queue="notification")
    EmailMessage.objects.update(created_at=timezone.now() - timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT - 60))
    jobs_runner.run()
    path = link(str(mail.outbox[0].body))
    assert "no longer works" not in Client().get(path, follow=True).content.decode()
    settings.PASSWORD_RESET_TIMEOUT -= 120
    assert "no longer works" in Client().get(path, follow=True).content.decode()


def test_a_mail_whose_link_has_ended_is_not_sent_any_more(client: Client, jobs_runner: JobsRunner) -> None:
    ask(client)
    jobs_runner.run(queue="notification")
    EmailMessage.objects.update(created_at=timezone.now() - timedelta(days=2))
    jobs_runner.run()
    assert mail.outbox == []
    assert EmailMessage.objects.get().state == "skipped"


def test_no_password_that_others_would_guess(client: Client, jobs_runner: JobsRunner) -> None:
    ask(client)
    jobs_runner.run()
    form = client.get(link(str(mail.outbox[0].body)), follow=True)
    answer = client.post(form.redirect_chain[-1][0], {"new_password1": "12345678", "new_password2": "12345678"})
    assert answer.status_code == 200
    assert User.objects.get().check_password("the old one")


def test_the_mail_is_in_the_language_of_who_asked(client: Client, jobs_runner: JobsRunner) -> None:
    ask(client, headers={"accept-language": "pt-BR"})
    jobs_runner.run()
    assert mail.outbox[0].subject == "Redefina sua senha"


def test_a_link_goes_only_to_the_address_that_the_account_has(client: Client, jobs_runner: JobsRunner) -> None:
    ask(client)
    jobs_runner.run(queue="notification")
    User.objects.update(email="mia@example.com")
    jobs_runner.run()
    assert mail.outbox == []
    assert EmailMessage.objects.get().state == "skipped"


@pytest.mark.parametrize("change", [{"email": "mia@example.com"}, {"is_active": False}, {"password": "!"}])
def test_a_link_ends_with_what_it_was_made_for(client: Client, jobs_runner: JobsRunner, change: dict[str, Any]) -> None:
    ask(client)
    jobs_runner.run()
    User.objects.update(**change)
    page = client.get(link(str(mail.outbox[0].body)), follow=True)
    assert "no longer works" in page.content.decode()


def test_an_account_that_is_locked_while_the_form_is_open_gets_no_password(
    client: Client, jobs_runner: JobsRunner
) -> None:
    ask(client)
    jobs_runner.run()
    form = client.get(link(str(mail.outbox[0].body)), follow=True)
    User.objects.update(is_active=False)
    client.post(form.redirect_chain[-1][0], {"new_password1": NEW, "new_password2": NEW})
    assert User.objects.get().check_password("the old one")


def test_a_new_password_ends_all_sessions(client: Client, jobs_runner: JobsRunner, mia: User) -> None:
    elsewhere = Client()
    elsewhere.force_login(mia)
    inbox = reverse("notifications:inbox")
    assert elsewhere.get(inbox).status_code == 200
    ask(client)
    jobs_runner.run()
    form = client.get(link(str(mail.outbox[0].body)), follow=True)
    client.post(form.redirect_chain[-1][0], {"new_password1": NEW, "new_password2": NEW})
    assert elsewhere.get(inbox).status_code == 302


def test_who_was_locked_ends_in_all_sessions(client: Client, mia: User) -> None:
    client.force_login(mia)
    User.objects.update(is_active=False)
    assert client.get(reverse("notifications:inbox")).status_code == 302


def test_a_new_password_opens_a_door_that_others_guesses_have_closed(
    client: Client, jobs_runner: JobsRunner, settings: Any
) -> None:
    settings.FORM_LIMITS = {**settings.FORM_LIMITS, "sign_in_address": (4, 86_400)}
    sign_in, known = reverse("login"), {"username": "mia@example.org", "password": NEW}
    for number in range(5):
        client.post(sign_in, {**known, "password": "a guess"}, REMOTE_ADDR=f"198.51.100.{number}")
    ask(client)
    jobs_runner.run()
    form = client.get(link(str(mail.outbox[0].body)), follow=True)
    client.post(form.redirect_chain[-1][0], {"new_password1": NEW, "new_password2": NEW})
    assert client.post(sign_in, known, REMOTE_ADDR="203.0.113.1").status_code == 302


def test_a_link_holds_while_its_key_is_known(client: Client, jobs_runner: JobsRunner, settings: Any) -> None:
    ask(client)
    jobs_runner.run()
    path = link(str(mail.outbox[0].body))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new key of the site", [settings.SECRET_KEY]
    assert "no longer works" not in Client().get(path, follow=True).content.decode()
    settings.SECRET_KEY_FALLBACKS = []
    assert "no longer works" in Client().get(path, follow=True).content.decode()


def test_the_link_names_the_site_whatever_host_was_asked(
    client: Client, jobs_runner: JobsRunner, settings: Any
) -> None:
    settings.SITE_URL, settings.ALLOWED_HOSTS = "https://esteira.example", ["*"]
    ask(client, headers={"host": "evil.example"})
    jobs_runner.run()
    assert "https://esteira.example/accounts/" in mail.outbox[0].body
    assert "evil.example" not in str(mail.outbox[0].message())
    page = client.get(link(str(mail.outbox[0].body)), follow=True)
    assert "no-store" in page["Cache-Control"]


def test_no_log_and_no_job_names_who_asked_tried_or_was_invited(
    client: Client, jobs_runner: JobsRunner, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    ask(client)
    client.post(reverse("login"), {"username": "mia@example.org", "password": "a guess"})
    invite_member(make_organization("acme"), "mia@example.org")
    jobs_runner.run()
    assert len(mail.outbox) == 2
    assert "mia@" not in caplog.text
    assert "mia@" not in str([*Job.objects.values(), *Attempt.objects.values()])
