"""No SMS service is connected: the message's own row is the record."""

from __future__ import annotations

from uuid import UUID


class LocalSms:
    """Keeps what would have been sent."""

    repeatable = True
    records_only = True

    def send(self, message_id: UUID, to: str, text: str) -> str:
        """Nothing leaves the house."""
        return "local record"
