"""How many leads a campaign reaches as things stand, and why it does not reach the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from leads.models import Lead
from leads.normalise import email_key

from . import intents
from .audience import Audience
from .models import Campaign, Suppression

#: So many leads are looked at, and so many suppressed addresses.
MOST, MOST_SUPPRESSED = 100_000, 5_000
#: Addresses of one query.
PIECE = 500
_ADDRESSED = Q(email_key__isnull=False)
_SUBSCRIBED = _ADDRESSED & Q(unsubscribed_at__isnull=True)


@dataclass(frozen=True)
class Reach:
    """Of the leads that a campaign is meant for: who gets it, and who does not, each counted once.

    `more`: there are more than `MOST` leads, and the numbers are those of so many. An address that was suppressed and
    of whose mail nothing is left is counted under `gets`, and found when its mail is to go.
    """

    gets: int
    no_consent: int
    unsubscribed: int
    no_address: int
    bounced: int
    complained: int
    more: bool

    @property
    def others(self) -> int:
        """Those who do not get it."""
        return self.no_consent + self.unsubscribed + self.no_address + self.bounced + self.complained


def reach_of(campaign: Campaign) -> Reach:
    """Counted now, in one pass over the organisation's leads."""
    all_leads = Lead.present.filter(organization_id=campaign.organization_id)
    meant = Audience.of(campaign.audience).of_leads(all_leads).order_by()
    looked_at: Any = meant.values("pk", "email_key", "unsubscribed_at", "marketing_consent_at")[: MOST + 1]
    counts = looked_at.aggregate(
        number=Count("pk"),
        no_address=Count("pk", filter=~_ADDRESSED),
        unsubscribed=Count("pk", filter=_ADDRESSED & Q(unsubscribed_at__isnull=False)),
        no_consent=Count("pk", filter=_SUBSCRIBED & Q(marketing_consent_at__isnull=True)),
        willing=Count("pk", filter=_SUBSCRIBED & Q(marketing_consent_at__isnull=False)),
    )
    suppressed = _suppressed_among(campaign, intents.campaign_leads(campaign))
    bounced = min(suppressed[Suppression.Reason.BOUNCED], counts["willing"])
    complained = min(suppressed[Suppression.Reason.COMPLAINED], counts["willing"] - bounced)
    return Reach(
        gets=counts["willing"] - bounced - complained,
        no_consent=counts["no_consent"],
        unsubscribed=counts["unsubscribed"],
        no_address=counts["no_address"],
        bounced=bounced,
        complained=complained,
        more=counts["number"] > MOST,
    )


def _suppressed_among(campaign: Campaign, leads: QuerySet[Lead]) -> Counter[str]:
    """How many of the leads have a suppressed address, by the reason that was reported last."""
    theirs = Q(organization__isnull=True) | Q(organization_id=campaign.organization_id)
    rows = Suppression.objects.filter(theirs, lifted_at__isnull=True, message__isnull=False)
    reasons: dict[str, str] = {}
    newest = rows.order_by("-created_at", "-pk").values_list("message__to", "reason")[:MOST_SUPPRESSED]
    for address, reason in newest:
        if key := _key_of(address):
            reasons.setdefault(key, reason)
    found: Counter[str] = Counter()
    addresses = list(reasons)
    for start in range(0, len(addresses), PIECE):
        keys = addresses[start : start + PIECE]
        theirs_too = leads.filter(email_key__in=keys).values_list("email_key", flat=True)
        found.update(reasons[key] for key in theirs_too if key is not None)
    return found


def _key_of(address: str) -> str:
    try:
        return email_key(address) or ""
    except ValueError:
        return ""
