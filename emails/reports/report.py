"""One report, whichever service it came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    """What became of the mail."""

    TAKEN = "taken"  # the service has it; whether it arrives is open
    DELIVERED = "delivered"
    REJECTED = "rejected"  # the service did not pass it on
    BOUNCED = "bounced"
    COMPLAINED = "complained"


@dataclass(frozen=True)
class Report:
    """What a service says of one mail, which it names by our id or by its own.

    `lasting` says that the address takes no mail at all, now or later: a hard bounce.
    """

    provider: str
    kind: Kind
    mail_id: UUID | None = None
    receipt: str = ""
    at: datetime | None = None
    lasting: bool = False
    detail: str = ""
