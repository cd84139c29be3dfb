"""Push messages to browsers and phones. One file a provider; `PUSH_PROVIDER` names the class that is used."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

#: What it is called among the providers, whose calls are counted.
PUSH = "push"
DEFAULT = "notifications.push.local.LocalPush"


class DeviceGone(Exception):
    """The push service knows the device no more: it is deleted."""


class PushProvider(Protocol):
    """A push service."""

    #: whether it recognises a message id that it has seen
    repeatable: bool
    #: whether it only writes down what it would have pushed
    records_only: bool

    def send(self, message_id: UUID, address: str, title: str, body: str, url: str) -> str:
        """Send, and return the service's receipt.

        Raises `DeviceGone`, `RetryLater` when told to slow down, `PermanentError` for what will never work, and
        anything else when another try may help.
        """
        ...


def push_provider() -> PushProvider:
    """The provider that the settings name."""
    provider: PushProvider = import_string(getattr(settings, "PUSH_PROVIDER", DEFAULT))()
    return provider
