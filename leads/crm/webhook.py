"""A webhook as Standard Webhooks describes it: id, timestamp and signature stand in headers."""

from __future__ import annotations

import binascii
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from jobs import PermanentError, provider_call

from .. import outgoing
from . import Receipt


class SignedWebhook:
    """POSTs JSON to an address, signed with a secret that both sides know."""

    def __init__(self, url: str, secret: str) -> None:
        self.url = url
        try:
            self._signer = Webhook(secret)
        except (binascii.Error, EmptyWebhookSecretError, RuntimeError):
            raise PermanentError(
                "the CRM webhook's secret is not in the form of Standard Webhooks: 'whsec_' and base64"
            ) from None

    def deliver(self, delivery_id: UUID, payload: dict[str, Any]) -> Receipt:
        """One signed request; see `outgoing.post` for what it raises."""
        body = json.dumps(payload, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":"))
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Esteira",
            "webhook-id": str(delivery_id),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(str(delivery_id), now, body),
        }
        with provider_call("crm"):
            answer = outgoing.post(self.url, body.encode(), headers)
        # the path may hold a customer's own secret
        return Receipt(target=urlsplit(self.url).hostname or "", status=answer.status, text=answer.text)
