"""Moments and spans as Redis holds them: microseconds, since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """An aware moment as Redis holds it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: float) -> datetime:
    """A moment that Redis holds."""
    return _EPOCH + timedelta(microseconds=value)


def moment_or_none(value: int | bool | None) -> datetime | None:
    """The same of one that may be missing."""
    return moment(value) if value else None


def span(seconds: float) -> int:
    """Seconds in microseconds."""
    return round(seconds * 1_000_000)
