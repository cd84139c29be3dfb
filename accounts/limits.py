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


def take(name: str, subject: str, *, at: datetime | None = None) -> float:
    """Count one use of the limit that the settings call `name`, for a subject: an address, a network, an organisation.

    In the caller's transaction, which the subject's next user waits for; rolled back, it was no use. Returns 0, or the
    seconds until there is room again; then nothing was counted. `at` is when, for `give_back`; else it is now.
    """
    count, seconds = settings.FORM_LIMITS[name]
    return take_of(name, subject, count, timedelta(seconds=seconds), at=at)


def take_of(name: str, subject: str, count: int, per: timedelta, *, at: datetime | None = None) -> float:
    """`take` with a limit of its own: `count` in every `per`."""
    row, times, wait = _look(name, subject, count, per, at or timezone.now())
    if wait:
        return wait
    row.times = [*times, (at or timezone.now()).timestamp()]
    row.ends_at = datetime.fromtimestamp(max(row.times), UTC) + per
    row.save()
    return 0.0


def wait_for(name: str, subject: str) -> float:
    """What `take` would answer; nothing is counted, and until the transaction ends nobody else takes the room."""
    count, seconds = settings.FORM_LIMITS[name]
    return _look(name, subject, count, timedelta(seconds=seconds), timezone.now())[2]


def give_back(name: str, subject: str, *, at: datetime) -> None:
    """Uncount the use of that moment: it was none of those that the limit is against."""
    with transaction.atomic():
        row = Limit.objects.select_for_update().filter(pk=_key(name, subject)).first()
        if row is not None and at.timestamp() in row.times:
            row.times.remove(at.timestamp())
            row.save()


def forget(name: str, subject: str) -> None:
    """Uncount all uses."""
    Limit.objects.filter(pk=_key(name, subject)).delete()


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


def _look(name: str, subject: str, count: int, per: timedelta, now: datetime) -> tuple[Limit, list[float], float]:
    """The subject's row, locked; its uses in the window, the oldest first; the seconds until there is room."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a limit is taken inside atomic()")
    # behind the transaction: rows that it has deleted would be in the way of others, who hold what it waits for
    transaction.on_commit(_clean, robust=True)
    row = _locked(_key(name, subject), now + per)
    since = (now - per).timestamp()
    times = sorted(time for time in row.times if time > since)
    wait = max(1.0, times[-count] - since) if len(times) >= count else 0.0
    return row, times, wait


def _key(name: str, subject: str) -> str:
    return keyed_hash("accounts.limit", f"{name}:{subject}")


def _locked(key: str, ends_at: datetime) -> Limit:
    for _try in range(TRIES):
        Limit.objects.bulk_create([Limit(key=key, ends_at=ends_at)], ignore_conflicts=True)
        row = Limit.objects.select_for_update().filter(pk=key).first()
        if row is not None:
            return row
    raise RuntimeError("the limit's row is deleted again and again")


def _clean() -> None:
    """Delete rows that are over; those that somebody has in hand stay."""
    over = Limit.objects.filter(ends_at__lt=timezone.now())
    keys = list(over.values_list("pk", flat=True)[:CLEANED])
    if not keys:
        return
    with transaction.atomic():
        free = over.select_for_update(skip_locked=True).filter(pk__in=keys)
        Limit.objects.filter(pk__in=list(free.values_list("pk", flat=True))).delete()
