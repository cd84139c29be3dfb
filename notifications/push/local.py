"""No push service is connected: the message's own row is the record."""

from __future__ import annotations

from uuid import UUID


class LocalPush:
    """Keeps what would have been pushed."""

    repeatable = True
    records_only = True

    def send(self, message_id: UUID, address: str, title: str, body: str, url: str) -> str:
        """Nothing leaves the house."""
        return "local record"
