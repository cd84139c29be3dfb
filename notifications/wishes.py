"""What a person wants to hear of on which way, and when not."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, time, timedelta
from uuid import UUID

from django.utils import timezone

from accounts.time_zones import zone_of

from .models import Channel, ContactPreference


def wishes_of(user_id: UUID) -> ContactPreference:
    """What the person chose; without a choice, what holds then (no row yet)."""
    chosen = ContactPreference.objects.filter(pk=user_id).first()
    return chosen or ContactPreference(user_id=user_id)


def declined_mail(user_ids: Collection[UUID], kind: str) -> set[UUID]:
    """Who of these people wants no mail about leads of this kind."""
    chosen = ContactPreference.objects.filter(pk__in=user_ids)
    return {one.pk for one in chosen if not one.wants(Channel.MAIL, kind)}


def quiet_until(wishes: ContactPreference, now: datetime | None = None) -> datetime | None:
    """When the person's quiet hours end, if it is in them that it is now."""
    if wishes.quiet_from is None or wishes.quiet_until is None:
        return None
    local = (now or timezone.now()).astimezone(zone_of(wishes.user))
    return end_of_quiet(wishes.quiet_from, wishes.quiet_until, local)


def end_of_quiet(begin: time, end: time, local: datetime) -> datetime | None:
    """The end of the quiet hours that the local time lies in; they may go over midnight. None: it lies in none."""
    at = local.time()
    quiet = begin <= at < end if begin <= end else at >= begin or at < end
    if not quiet:
        return None
    ending = local.replace(hour=end.hour, minute=end.minute, second=end.second, microsecond=0)
    # a day of the calendar: on the day the clock is changed it has another length
    return ending if at < end else ending + timedelta(days=1)
