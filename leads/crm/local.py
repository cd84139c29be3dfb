"""No CRM is connected: the delivery's own row is the record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from . import Receipt


class LocalRecord:
    """Keeps what a CRM would have been sent."""

    def deliver(self, delivery_id: UUID, payload: dict[str, Any]) -> Receipt:
        """Nothing leaves the house."""
        return Receipt(target="local record", recorded=True)
