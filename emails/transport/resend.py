"""Resend: recognises a repetition by its `Idempotency-Key` for 24 hours."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from anymail.backends.resend import EmailBackend as AnymailBackend

from .outcomes import Misconfigured, NotSent, Unclear

#: The tag that comes back with each event; unlike a header, a reader does not see it.
TAG = "mail"


class EmailBackend(AnymailBackend):  # type: ignore[misc]
    """Anymail's, which sets no key."""

    recognises_repetition = True

    def mark(self, outgoing: Any, mail_id: UUID) -> None:
        """Our id as the key, and as a tag."""
        outgoing.idempotency_key = str(mail_id)
        outgoing.esp_extra = {"tags": [{"name": TAG, "value": str(mail_id)}]}

    def build_message_payload(self, message: Any, defaults: dict[str, Any]) -> Any:
        """The request, with the key where the mail has one."""
        payload = super().build_message_payload(message, defaults)
        if key := getattr(message, "idempotency_key", ""):
            payload.headers["Idempotency-Key"] = key
        return payload

    def judge(self, status: int, body: Any) -> NotSent | None:
        """A key that is in use, or was used for another text; a sender that is not ours."""
        name = body.get("name", "") if isinstance(body, dict) else ""
        if status == 409 and name == "concurrent_idempotent_requests":
            return Unclear("Resend is still busy with an earlier try", repeatable=True)
        if status == 409:
            return Unclear("Resend has taken this mail before, with another text", repeatable=False)
        if name == "invalid_from_address":
            return Misconfigured("Resend does not take mail from our sender's address: see DEFAULT_FROM_EMAIL")
        return None
