"""Limits on what strangers can set off: exact in every rolling window, and the same for all processes.

How many are allowed stands in the settings, `FORM_LIMITS`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from .keyed_hashes import keyed_hash
from .models import Limit

#: Rows that are over and go with each use.
CLEANED = 50
#: How often a row may vanish under the hands of somebody who cleans.
TRIES = 10


def take(name: str, subject: str) -> float:
    """Count one use of the limit that the settings call `name`, for a subject: an address, a network, an organisation.

    In the caller's transaction, which the subject's next user waits for; rolled back, it was no use. Returns 0, or the
    seconds until there is room again; then nothing was counted.
    """
    count, seconds = settings.FORM_LIMITS[name]
    return take_of(name, subject, count, timedelta(seconds=seconds))


def take_of(name: str, subject: str, count: int, per: timedelta) -> float:
    """`take` with a limit of its own: `count` in every `per`."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a limit is taken inside atomic()")
    now = timezone.now()
    _clean(now)
    row = _locked(keyed_hash("leads.limit", f"{name}:{subject}"), now + per)
    since = (now - per).timestamp()
    times = [time for time in row.times if time > since]
    if len(times) >= count:
        wait: float = times[-count] - since
        return max(1.0, wait)
    row.times = [*times, now.timestamp()]
    row.ends_at = datetime.fromtimestamp(row.times[-1], UTC) + per
    row.save()
    return 0.0


def network_of(address: str) -> str:
    """What one visitor holds: an IPv4 address, or the /64 of an IPv6 address. Empty if it is no address."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, 64), strict=False))
    return str(found)


def _locked(key: str, ends_at: datetime) -> Limit:
    for _try in range(TRIES):
        Limit.objects.bulk_create([Limit(key=key, ends_at=ends_at)], ignore_conflicts=True)
        row = Limit.objects.select_for_update().filter(pk=key).first()
        if row is not None:
            return row
    raise RuntimeError("the limit's row is deleted again and again")


def _clean(now: datetime) -> None:
    """Delete rows that are over; those that somebody has in hand stay."""
    over = Limit.objects.select_for_update(skip_locked=True).filter(ends_at__lt=now).values_list("pk", flat=True)
    if keys := list(over[:CLEANED]):
        Limit.objects.filter(pk__in=keys).delete()
