"""A lead's score, 0 to 100: rules that anyone can read, each with its points. Pure: no database, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import exp2, log2
from typing import Any

#: After this many days a contact counts half.
HALF_LIFE_DAYS = 30
CONTACT_POINTS, CONTACT_LIMIT = 10, 25
_DECIDERS = re.compile(
    r"\b(ceo|cto|cfo|coo|cmo|cio|chief|founder|owner|president|director|head|vp|s[oó]ci[oa]|diretora?|presidente"
    r"|propriet[aá]ri[oa]|fundadora?)\b",
    re.IGNORECASE,
)
_MANAGERS = re.compile(r"\b(manager|lead|gerente|coordenadora?|supervisora?)\b", re.IGNORECASE)
STATUS_POINTS = {"contacted": 5, "qualified": 15, "proposal": 20, "won": 25, "lost": -30}
SOURCE_POINTS = {"referral": 10, "event": 5, "form": 5, "website": 5, "ads": 3}


@dataclass(frozen=True)
class Facts:
    """What the rules look at."""

    email: str = ""
    phone: str = ""
    company: str = ""
    job_title: str = ""
    message: str = ""
    status: str = "new"
    source: str = "other"
    value: float | None = None
    unsubscribed: bool = False
    enrichment: Mapping[str, Any] = field(default_factory=dict)
    contacts: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class Reason:
    """One rule that applied; `rule` is its stable name, shown by `leads.labels`."""

    rule: str
    points: int


@dataclass(frozen=True)
class Score:
    """The score, and how it came about."""

    points: int
    reasons: tuple[Reason, ...]
    #: from when on it is lower if nothing happens meanwhile; None: it does not fall
    falls_at: datetime | None = None


def score(facts: Facts, now: datetime) -> Score:
    """The score of what is known at `now`."""
    fresh = _fresh(facts.contacts, now)
    rules = (*_fit(facts), *_engagement(facts, fresh), *_negatives(facts))
    reasons = tuple(reason for reason in rules if reason.points)
    total = sum(reason.points for reason in reasons)
    return Score(max(0, min(100, total)), reasons, _falls_at(fresh, now))


def _fit(facts: Facts) -> Iterable[Reason]:
    known = facts.enrichment
    if known.get("free_mail") is False and known.get("disposable_mail") is False:
        yield Reason("company_mail", 20)
    if facts.company or known.get("company"):
        yield Reason("company_known", 5)
    if _DECIDERS.search(facts.job_title):
        yield Reason("decides", 15)
    elif _MANAGERS.search(facts.job_title):
        yield Reason("manages", 8)
    if facts.phone and known.get("phone_valid") is not False:
        yield Reason("phone_given", 10)
    if known.get("country"):
        yield Reason("country_known", 3)
    if facts.value is not None and facts.value >= 10_000:
        yield Reason("large_value", 10)
    yield Reason("source", SOURCE_POINTS.get(facts.source, 0))
    yield Reason("status", STATUS_POINTS.get(facts.status, 0))


def _engagement(facts: Facts, fresh: float) -> Iterable[Reason]:
    if len(facts.message) >= 40:
        yield Reason("wrote_message", 10)
    yield Reason("contacts", _points_of(fresh))


def _negatives(facts: Facts) -> Iterable[Reason]:
    known = facts.enrichment
    if known.get("disposable_mail"):
        yield Reason("disposable_mail", -40)
    if known.get("phone_valid") is False:
        yield Reason("phone_invalid", -10)
    if facts.unsubscribed:
        yield Reason("unsubscribed", -20)


def _fresh(contacts: Iterable[datetime], now: datetime) -> float:
    """The contacts, each by what is left of it."""
    return sum(exp2(-max(0.0, (now - at) / timedelta(days=HALF_LIFE_DAYS))) for at in contacts)


def _points_of(fresh: float) -> int:
    return min(CONTACT_LIMIT, round(CONTACT_POINTS * fresh))


def _falls_at(fresh: float, now: datetime) -> datetime | None:
    """When the contacts are worth a point less: all of them halve alike, so their sum does."""
    points = _points_of(fresh)
    if points <= 0:
        return None
    days = HALF_LIFE_DAYS * log2(CONTACT_POINTS * fresh / (points - 0.5))
    # a little later, when it surely is less
    return now + timedelta(days=max(0.0, days), minutes=1)
