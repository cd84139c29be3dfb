"""Old submissions go at night, as the setting says; what waits to become a lead stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import Cron
from leads import retention
from leads.models import Submission
from leads.models.submission import SubmissionState
from leads.tasks import forget_submissions

from .people import make_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def old_ones() -> None:
    organization = make_organization()
    for state in SubmissionState:
        for days in (5, 40):
            row = Submission.objects.create(
                organization=organization, channel="api", body="x", body_hash="x", state=state
            )
            Submission.objects.filter(pk=row.pk).update(received_at=timezone.now() - timedelta(days=days))


@pytest.mark.usefixtures("old_ones")
def test_old_submissions_go_and_those_that_wait_to_become_a_lead_stay(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SUBMISSION_KEEP_DAYS = 30
    monkeypatch.setattr(retention, "PIECE", 2)
    assert forget_submissions.call() == {"forgotten": 3}
    left = Submission.objects.filter(received_at__lt=timezone.now() - timedelta(days=30))
    assert set(left.values_list("state", flat=True)) == {"received", "failed"}
    assert Submission.objects.count() == 7
    assert forget_submissions.call() == {"forgotten": 0}


@pytest.mark.usefixtures("old_ones")
def test_without_the_setting_everything_stays() -> None:
    assert forget_submissions.call() == {"forgotten": 0}
    assert Submission.objects.count() == 10


def test_it_happens_every_night() -> None:
    assert list(forget_submissions.schedules.values()) == [Cron("0 3 * * *", overlap="skip")]
