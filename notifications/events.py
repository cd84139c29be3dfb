"""The business facts that `notifications` announces."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from jobs import Event, EventSignal


@dataclass(frozen=True, kw_only=True)
class NotificationCreated(Event):
    """A user's inbox has a new line; `organization_id` is None where the news belongs to no single organisation."""

    organization_id: UUID | None
    notification_id: UUID
    user_id: UUID
    kind: str


notification_created = EventSignal(NotificationCreated)
