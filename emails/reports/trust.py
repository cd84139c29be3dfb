"""Whether a request comes from the mail service."""

from __future__ import annotations

import base64
import binascii

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from ..mail_providers import MailProvider


class NotTrusted(Exception):
    """Nothing proves that the request comes from the service; the text is for our log."""


class Unreadable(Exception):
    """It comes from the service, and makes no sense."""


def check_secret(request: HttpRequest, provider: MailProvider) -> None:
    """The name and password (HTTP Basic) that stand in the webhook's address; raises `NotTrusted`."""
    if not provider.webhook_secret:
        raise NotTrusted("neither EMAIL_WEBHOOK_KEY nor EMAIL_WEBHOOK_SECRET is set")
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        given = b""
    if scheme.lower() != "basic" or not constant_time_compare(given, provider.webhook_secret.encode()):
        raise NotTrusted("another name and password than EMAIL_WEBHOOK_SECRET")
