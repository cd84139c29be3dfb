"""Hashes of what must not be told back: without the site's secret nobody can guess what one stands for."""

from __future__ import annotations

from django.conf import settings
from django.utils.crypto import salted_hmac


def keyed_hash(salt: str, value: str) -> str:
    """The hash under the present secret; `salt` names what it is for."""
    return keyed_hashes(salt, value)[0]


def keyed_hashes(salt: str, value: str) -> list[str]:
    """The hashes that may stand for a value: under the present secret, then under those that it replaced."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [salted_hmac(salt, value, secret=secret, algorithm="sha256").hexdigest() for secret in secrets]
