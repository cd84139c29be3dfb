"""Resend's webhooks: signed as Svix does, with Standard Webhooks' signature under other header names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anymail.signals import AnymailTrackingEvent, EventType
from anymail.webhooks.resend import ResendTrackingWebhookView
from django.http import HttpRequest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ..mail_providers import MailProvider
from .trust import NotTrusted, check_secret


class _View(ResendTrackingWebhookView):  # type: ignore[misc]
    """Anymail's, and what Resend tells besides."""

    event_types = {
        **ResendTrackingWebhookView.event_types,
        "email.failed": EventType.FAILED,
        "email.suppressed": EventType.REJECTED,
    }


def verify(request: HttpRequest, provider: MailProvider) -> None:
    """By signature, which is good for five minutes; where no key is set, by the secret."""
    if not provider.signing_key:
        check_secret(request, provider)
        return
    headers = {f"webhook-{part}": request.headers.get(f"svix-{part}", "") for part in ("id", "timestamp", "signature")}
    try:
        Webhook(provider.signing_key).verify(request.body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        raise NotTrusted(f"signature: {error}") from None


def view(provider: MailProvider) -> _View:
    """Anymail's view, without its checks."""
    return _View(signing_secret=None, webhook_secret=[provider.webhook_secret or "checked:before"])


def is_lasting(event: AnymailTrackingEvent) -> bool:
    """Permanent, as Amazon calls it behind Resend."""
    return str(event.esp_event["data"].get("bounce", {}).get("type", "")).lower() == "permanent"


def tags(event: AnymailTrackingEvent) -> Mapping[str, Any]:
    """A list of names and values, or a mapping: Resend's pages show both."""
    given = event.esp_event["data"].get("tags") or {}
    if isinstance(given, list):
        return {tag["name"]: tag["value"] for tag in given}
    return dict(given)
