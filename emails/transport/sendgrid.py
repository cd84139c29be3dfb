"""SendGrid: recognises no repetition; its events carry our id."""

from __future__ import annotations

import warnings
from typing import Any

from anymail.backends.sendgrid import EmailBackend as AnymailBackend
from anymail.exceptions import AnymailNotSupportedWarning
from anymail.message import AnymailRecipientStatus

from .outcomes import Misconfigured, NotSent

# Anymail has no account to test with; sending, answers and events are tested here (docs/mail-providers.md)
warnings.filterwarnings("ignore", category=AnymailNotSupportedWarning)


class EmailBackend(AnymailBackend):  # type: ignore[misc]
    """Anymail's, which makes up an id instead of keeping SendGrid's."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"generate_message_id": False, **kwargs})

    def parse_recipient_status(self, response: Any, payload: Any, message: Any) -> dict[str, Any]:
        """SendGrid's id stands in a header."""
        status = AnymailRecipientStatus(message_id=response.headers.get("X-Message-Id"), status="queued")
        return {recipient.addr_spec: status for recipient in payload.all_recipients}

    def judge(self, status: int, body: Any) -> NotSent | None:
        """A sender that is not ours."""
        errors = body.get("errors") if isinstance(body, dict) else None
        if not isinstance(errors, list):
            return None
        if any(str(error.get("field") or "").startswith("from") for error in errors if isinstance(error, dict)):
            return Misconfigured("SendGrid does not take mail from our sender's address: see DEFAULT_FROM_EMAIL")
        return None
