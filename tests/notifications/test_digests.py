"""The daily mail of what a person has not read: once for each line, and only to who wants it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership
from emails.digests import stop_path
from emails.models import EmailMessage
from jobs import Cron
from jobs.testing import JobsRunner
from leads.models import EffectState
from notifications.models import Notification
from notifications.tasks import plan_digests
from tests.leads.people import make_member, make_organization, make_user

pytestmark = pytest.mark.django_db


def tell(user: Any, *titles: str, **fields: Any) -> None:
    for title in titles:
        Notification.objects.create(user=user, title=title, **fields)


def test_unread_news_are_mailed_once_in_the_persons_language(jobs_runner: JobsRunner) -> None:
    mia = make_member(make_organization(language="pt-br"), "mia")
    tell(mia, "Novo lead", "Novo lead", "Urgente")
    tell(mia, "Lida", read_at=timezone.now())
    assert [plan_digests.call() for _ in range(2)] == [{"digests": 1}, {"digests": 0}]
    jobs_runner.run()
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["mia@example.org"], "3 notificações não lidas")
    assert "- Novo lead (2)" in sent.body
    assert "Lida" not in sent.body
    tell(mia, "Mais uma")
    plan_digests.call()
    jobs_runner.run()
    assert mail.outbox[1].subject == "1 notificação não lida"


def test_nobody_without_unread_news_gets_a_mail(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    tell(make_member(organization, "mia"), "Read", read_at=timezone.now())
    tell(make_user("left"), "Of an organization that was left", organization=organization)
    tell(make_user("locked", is_active=False), "News")
    tell(make_user("quiet", wants_digest=False), "News")
    tell(make_user("back"), "Of long ago")
    Notification.objects.filter(title="Of long ago").update(created_at=timezone.now() - timedelta(days=8))
    assert plan_digests.call() == {"digests": 0}
    assert Notification.objects.filter(mailed_at=None).count() == 5


def test_mail_is_stopped_by_its_link_and_asked_for_in_the_inbox(jobs_runner: JobsRunner) -> None:
    mia = make_user("mia")
    tell(mia, "News")
    plan_digests.call()
    jobs_runner.run()
    link = mail.outbox[0].extra_headers["List-Unsubscribe"].strip("<>")
    assert link.endswith(stop_path(mia.pk))
    visitor = Client(enforce_csrf_checks=True)
    visitor.get(link)
    mia.refresh_from_db()
    assert mia.wants_digest
    assert visitor.post(link, {"List-Unsubscribe": "One-Click"}).status_code == 200
    mia.refresh_from_db()
    assert not mia.wants_digest
    assert visitor.post(link[:-2] + "x/").status_code == 404
    client = Client()
    client.force_login(mia)
    assert b'value="yes"' in client.get(reverse("notifications:inbox")).content
    client.post(reverse("notifications:digest"), {"wanted": "yes"})
    mia.refresh_from_db()
    assert mia.wants_digest


def test_mail_on_its_way_is_not_sent_to_who_stopped_it(jobs_runner: JobsRunner) -> None:
    mia = make_member(make_organization(), "mia")
    tell(mia, "News")
    plan_digests.call()
    type(mia).objects.update(wants_digest=False)
    jobs_runner.run()
    assert EmailMessage.objects.get().state == EffectState.SKIPPED
    assert mail.outbox == []


def test_digest_of_one_organization_is_its_mail(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    mia = make_member(organization, "mia")
    tell(mia, "News", organization=organization)
    plan_digests.call()
    assert EmailMessage.objects.get().organization == organization
    Membership.objects.all().delete()
    jobs_runner.run()
    assert EmailMessage.objects.get().state == EffectState.SKIPPED


def test_it_happens_every_day() -> None:
    assert list(plan_digests.schedules.values()) == [Cron("0 7 * * *", overlap="skip")]
