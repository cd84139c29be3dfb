"""Scores fall at night as contacts grow old: by the rule, once, and never below zero."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import Cron
from jobs.testing import JobsRunner
from leads import scoring, services
from leads.models import Activity, Lead, Submission
from leads.tasks import decay_scores, sync_to_crm

from .people import make_lead, make_organization

pytestmark = pytest.mark.django_db


def contacted(days: int, **fields: Any) -> Lead:
    """A lead that wrote so many days ago, and was scored then."""
    lead = make_lead(make_organization(**fields), source="referral")
    submission = Submission.objects.create(
        organization=lead.organization, lead=lead, channel="api", body="x", body_hash="x", state="processed"
    )
    at = timezone.now() - timedelta(days=days)
    Submission.objects.filter(pk=submission.pk).update(received_at=at)
    found = scoring.score(scoring.Facts(source="referral", contacts=(at,)), at)
    fields = {"score": found.points, "score_falls_at": found.falls_at, "score_version": lead.version}
    Lead.objects.filter(pk=lead.pk).update(**fields)
    lead.refresh_from_db()
    return lead


def test_score_of_thirty_missed_nights_falls_by_half_of_its_contact_once(jobs_runner: JobsRunner) -> None:
    lead = contacted(30, crm_webhook_url="https://crm.example/hook")
    assert lead.score == 20
    assert [decay_scores.call() for _ in range(2)] == [{"decayed": 1}, {"decayed": 0}]
    lead.refresh_from_db()
    assert (lead.score, lead.score_version, lead.last_activity_at) == (15, lead.version, None)
    assert Activity.objects.get(lead=lead).detail == {"old": 20, "new": 15}
    jobs_runner.assert_enqueued(sync_to_crm, times=1)


def test_score_that_does_not_fall_yet_is_not_looked_at() -> None:
    contacted(0)
    assert decay_scores.call() == {"decayed": 0}
    assert not Activity.objects.exists()


def test_without_a_crm_a_fallen_score_starts_no_job(jobs_runner: JobsRunner) -> None:
    contacted(30)
    assert decay_scores.call() == {"decayed": 1}
    assert jobs_runner.run() == []


def test_score_that_was_to_be_calculated_anyway_still_is(jobs_runner: JobsRunner) -> None:
    lead = contacted(30)
    Lead.objects.update(version=5)
    decay_scores.call()
    services.calculate_lead_score(lead.id, lead.organization_id)
    assert [handle.result()["outcome"] for handle in jobs_runner.run()][0] == "scored"


@pytest.mark.parametrize("ages", [(0,), (0, 3, 9, 40, 200)])
def test_told_moment_is_when_the_score_falls(ages: tuple[int, ...]) -> None:
    now = timezone.now()
    facts = scoring.Facts(status="lost" if len(ages) == 1 else "won", contacts=tuple(now - timedelta(d) for d in ages))
    seen = [scoring.score(facts, now)]
    while falls_at := seen[-1].falls_at:
        before, after = (scoring.score(facts, falls_at - timedelta(minutes=m)) for m in (2, 0))
        assert _contacts(before) == _contacts(seen[-1]) > _contacts(after)
        assert after.points >= 0
        seen.append(after)
    assert _contacts(seen[-1]) == 0


def test_it_happens_every_night() -> None:
    assert list(decay_scores.schedules.values()) == [Cron("0 2 * * *", overlap="skip")]


def _contacts(score: scoring.Score) -> int:
    return sum(reason.points for reason in score.reasons if reason.rule == "contacts")
