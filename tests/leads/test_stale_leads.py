"""Leads that nobody touches: the assignee hears of each once, and the admin lists them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from jobs import Cron
from jobs.testing import JobsRunner
from leads import services, stale
from leads.models import ConsentPurpose, ConsentSource, Lead, LeadStatus
from leads.panels import registry
from leads.tasks import remind_of_stale_leads
from notifications.models import Notification

from .people import make_lead, make_member, make_organization

pytestmark = pytest.mark.django_db


def untouched(days: int, **fields: Any) -> Lead:
    """A lead that was touched so many days ago, and has written since."""
    at = timezone.now() - timedelta(days=days)
    return make_lead(touched_at=at, last_activity_at=timezone.now(), **fields)


def test_assignee_hears_once_of_a_stale_lead_and_again_after_it_was_touched(jobs_runner: JobsRunner) -> None:
    organization = make_organization()
    mia = make_member(organization, "mia")
    lead = untouched(15, organization=organization, assignee=mia)
    for _day in range(2):
        remind_of_stale_leads.call()
        jobs_runner.run()
    assert list(Notification.objects.values_list("user", "action_url")) == [(mia.pk, lead.get_absolute_url())]

    services.add_note(lead, "Called.", actor=mia)
    lead.refresh_from_db()
    assert lead.stale_at is None
    Lead.objects.update(touched_at=timezone.now() - timedelta(days=15))
    remind_of_stale_leads.call()
    jobs_runner.run()
    assert Notification.objects.count() == 2


def test_only_open_leads_that_somebody_has_left_alone_for_long_are_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale, "PIECE", 1)
    organization = make_organization()
    mia = make_member(organization, "mia")
    due = [untouched(days, organization=organization, assignee=mia, email=f"{days}@a.example") for days in (16, 20)]
    untouched(13, organization=organization, assignee=mia, email="fresh@a.example")
    untouched(20, organization=organization, email="nobody@a.example")
    untouched(20, organization=organization, assignee=mia, email="won@a.example", status=LeadStatus.WON)
    untouched(20, organization=organization, assignee=mia, email="", erased_at=timezone.now())
    assert remind_of_stale_leads.call() == {"stale": 2}
    assert set(Lead.objects.filter(stale_at__isnull=False)) == set(due)
    assert remind_of_stale_leads.call() == {"stale": 0}


def test_run_that_was_broken_off_goes_on_and_tells_nothing_twice(
    jobs_runner: JobsRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stale, "PIECE", 2)
    organization = make_organization()
    mia = make_member(organization, "mia")
    leads = [untouched(20, organization=organization, assignee=mia, email=f"{n}@a.example") for n in range(3)]

    def stopped() -> Iterator[int]:
        yield 0
        raise InterruptedError

    with pytest.raises(InterruptedError):
        stale.remind(stopped())
    assert Lead.objects.filter(stale_at__isnull=False).count() == 2
    remind_of_stale_leads.call()
    jobs_runner.run()
    told = Notification.objects.values_list("action_url", flat=True)
    assert sorted(told) == sorted(lead.get_absolute_url() for lead in leads)


@pytest.mark.parametrize(
    ("act", "touches"),
    [
        (lambda lead: services.change_lead_status(lead.id, lead.organization_id, "lost", actor=lead.assignee), True),
        (lambda lead: services.assign_lead(lead.id, lead.organization_id, None), True),
        (lambda lead: registry.actions["sms"].perform(lead, lead.assignee, {"text": "Hi"}), True),
        (
            lambda lead: services.record_consent(
                lead.id,
                lead.organization_id,
                [ConsentPurpose.MARKETING],
                source=ConsentSource.STAFF,
                wording="On the phone",
                actor=lead.assignee,
            ),
            True,
        ),
        (lambda lead: services.receive_lead(lead.organization, {"name": "Ada", "email": lead.email}), False),
        (lambda lead: services.calculate_lead_score(lead.id, lead.organization_id), False),
    ],
    ids=["status", "assigned", "texted", "consented", "wrote again", "scored"],
)
def test_what_a_person_does_touches_a_lead_and_what_else_happens_does_not(
    jobs_runner: JobsRunner, act: Any, touches: bool
) -> None:
    organization = make_organization()
    mia = make_member(organization, "mia")
    fields = {"organization": organization, "assignee": mia, "phone": "+5511912345678"}
    lead = untouched(20, **fields, stale_at=timezone.now())
    act(lead)
    jobs_runner.run()
    lead.refresh_from_db()
    assert (lead.stale_at is None) is touches
    assert (lead.touched_at > timezone.now() - timedelta(days=1)) is touches


def test_zero_days_switch_it_off(settings: Any) -> None:
    settings.STALE_LEAD_DAYS = 0
    organization = make_organization()
    untouched(99, organization=organization, assignee=make_member(organization, "mia"))
    assert remind_of_stale_leads.call() == {"stale": 0}


@pytest.mark.sqlite
def test_what_is_due_is_found_by_its_index() -> None:
    assert "leads_to_remind" in stale._due(timezone.now()).explain()


def test_the_admin_lists_stale_leads(client: Client) -> None:
    organization = make_organization()
    untouched(1, organization=organization, name="Grace", email="grace@a.example")
    untouched(1, organization=organization, name="Ada", stale_at=timezone.now())
    client.force_login(User.objects.create_superuser("boss@example.org"))
    page = client.get("/admin/leads/lead/?stale=yes").content.decode()
    assert ">Ada<" in page
    assert ">Grace<" not in page


def test_it_happens_every_day() -> None:
    assert list(remind_of_stale_leads.schedules.values()) == [Cron("0 6 * * *", overlap="skip")]
