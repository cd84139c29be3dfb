"""Time zones: which there are, and which is a person's."""

from __future__ import annotations

from contextlib import suppress
from datetime import tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.utils import timezone

from .models import User


@cache
def time_zones() -> frozenset[str]:
    """The names of the IANA's list that this machine knows; read once."""
    return frozenset(available_timezones())


def zone_of(user: User) -> tzinfo:
    """The person's time zone, else the site's; also where the machine no longer knows a zone."""
    if user.time_zone:
        with suppress(ZoneInfoNotFoundError, ValueError):
            return ZoneInfo(user.time_zone)
    return timezone.get_default_timezone()
