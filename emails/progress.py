"""How far a campaign has come, in numbers that add up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count
from django.utils import timezone

from leads.models import EffectState

from .campaigns import WENT_OUT
from .models import Campaign, EmailMessage

#: So many mails, in so many seconds, tell how fast it goes.
ENOUGH_MAILS, ENOUGH_SECONDS = 5, 5.0
FAILED = (EffectState.FAILED, EffectState.REFUSED)
State = Campaign.State


@dataclass(frozen=True)
class Progress:
    """A campaign's leads, each counted once; `waiting` has also those whose mail is not stated yet."""

    total: int
    sent: int
    waiting: int
    deferred: int
    failed: int
    unclear: int
    #: not sent on purpose, or called off
    skipped: int
    expected_end: datetime | None
    #: mails a second, as measured
    pace: float | None

    @property
    def ended(self) -> int:
        """Those that nothing is to come for."""
        return self.total - self.waiting - self.deferred


def progress_of(campaign: Campaign) -> Progress:
    """Counted now, in an index alone."""
    rows = EmailMessage.objects.filter(campaign=campaign).order_by().values("state").annotate(number=Count("pk"))
    numbers = {row["state"]: row["number"] for row in rows}
    stated = sum(numbers.values())
    total = stated if campaign.planned_at is not None else max(campaign.recipients or 0, stated)
    sent, failed = (sum(numbers.get(state, 0) for state in states) for states in (WENT_OUT, FAILED))
    deferred, unclear, skipped = (
        numbers.get(state, 0) for state in (EffectState.DEFERRED, EffectState.UNCLEAR, EffectState.SKIPPED)
    )
    if campaign.state == State.CANCELLED:
        skipped += total - stated
    waiting = total - sent - failed - deferred - unclear - skipped
    pace = _pace(campaign, total - waiting - deferred)
    end = timezone.now() + timedelta(seconds=waiting / pace) if pace and waiting else None
    return Progress(total, sent, waiting, deferred, failed, unclear, skipped, end, pace)


def sent_of(campaigns: list[Campaign]) -> dict[Campaign, int]:
    """How many mails of each of these went out; those that have ended have it written down."""
    sent = {campaign: campaign.sent for campaign in campaigns if campaign.sent is not None}
    going = [one.pk for one in campaigns if one.sent is None and one.state not in {State.DRAFT, State.SCHEDULED}]
    counted = EmailMessage.objects.filter(campaign__in=going, state__in=WENT_OUT).order_by().values("campaign")
    numbers = {row["campaign"]: row["number"] for row in counted.annotate(number=Count("pk"))} if going else {}
    return {campaign: sent.get(campaign, numbers.get(campaign.pk, 0)) for campaign in campaigns}


def _pace(campaign: Campaign, ended: int) -> float | None:
    """Mails a second since it has been sending without a pause; None while that is not known."""
    if campaign.state != State.SENDING or campaign.resumed_at is None:
        return None
    seconds = (timezone.now() - campaign.resumed_at).total_seconds()
    number = ended - campaign.ended_before
    return number / seconds if number >= ENOUGH_MAILS and seconds >= ENOUGH_SECONDS else None
