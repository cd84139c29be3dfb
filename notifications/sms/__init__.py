"""Text messages. One file a provider; `SMS_PROVIDER` names the class that is used."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

#: What it is called among the providers, whose calls are counted.
SMS = "sms"
DEFAULT = "notifications.sms.local.LocalSms"


class SmsProvider(Protocol):
    """A service that sends text messages."""

    #: whether it recognises a message id that it has seen
    repeatable: bool
    #: whether it only writes down what it would have sent
    records_only: bool

    def send(self, message_id: UUID, to: str, text: str) -> str:
        """Send, and return the service's receipt.

        Raises `RetryLater` when told to slow down, `PermanentError` for what will never work, and anything else when
        another try may help.
        """
        ...


def sms_provider() -> SmsProvider:
    """The provider that the settings name."""
    provider: SmsProvider = import_string(getattr(settings, "SMS_PROVIDER", DEFAULT))()
    return provider
