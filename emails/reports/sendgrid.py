"""SendGrid's webhooks: signed with a key of an elliptic curve, of which we have the public half."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any

from anymail.signals import AnymailTrackingEvent
from anymail.webhooks.sendgrid import SendGridTrackingWebhookView
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.http import HttpRequest

from ..mail_providers import MailProvider
from .trust import NotTrusted, check_secret

#: Seconds for which a signature is good: SendGrid repeats a request for a day.
GOOD_FOR = 86_400.0 + 300.0
_HEADER = "X-Twilio-Email-Event-Webhook-"


def verify(request: HttpRequest, provider: MailProvider) -> None:
    """By signature; where no key is set, by the secret."""
    if not provider.signing_key:
        check_secret(request, provider)
        return
    stamp = request.headers.get(f"{_HEADER}Timestamp", "")
    key = load_der_public_key(base64.b64decode(provider.signing_key))
    assert isinstance(key, EllipticCurvePublicKey)
    try:
        signature = base64.b64decode(request.headers.get(f"{_HEADER}Signature", ""), validate=True)
        key.verify(signature, stamp.encode() + request.body, ECDSA(hashes.SHA256()))
        age = time.time() - int(stamp)
    except (InvalidSignature, ValueError) as error:
        raise NotTrusted(f"signature: {type(error).__name__}") from None
    if not -300 <= age <= GOOD_FOR:
        raise NotTrusted("signature: too old")


def view(provider: MailProvider) -> SendGridTrackingWebhookView:
    """Anymail's view, without its checks."""
    return SendGridTrackingWebhookView(
        tracking_webhook_verification_key="", webhook_secret=[provider.webhook_secret or "checked:before"]
    )


def is_lasting(event: AnymailTrackingEvent) -> bool:
    """A bounce; what SendGrid calls blocked is about the mail or the sender, and may pass."""
    return bool(event.esp_event.get("type", "bounce") == "bounce")


def tags(event: AnymailTrackingEvent) -> Mapping[str, Any]:
    """The arguments that the mail was given."""
    return dict(event.metadata)
