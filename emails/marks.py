"""How the states of campaigns, and of mails on their way, look."""

from __future__ import annotations

from collections.abc import Mapping

from admin_lists.marks import Mark

from .models import Campaign, Delivery

CAMPAIGN: Mapping[str, Mark] = {
    Campaign.State.DRAFT: Mark("quiet", "square"),
    Campaign.State.SCHEDULED: Mark("later", "clock"),
    Campaign.State.SENDING: Mark("run", "play"),
    Campaign.State.PAUSED: Mark("again", "pause"),
    Campaign.State.SENT: Mark("good", "check"),
    Campaign.State.CANCELLED: Mark("quiet", "cross"),
}

DELIVERY: Mapping[str, Mark] = {
    Delivery.DELIVERED: Mark("good", "check"),
    Delivery.REJECTED: Mark("bad", "slash"),
    Delivery.BOUNCED: Mark("bad", "undo"),
    Delivery.COMPLAINED: Mark("again", "triangle"),
}
