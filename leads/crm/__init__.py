"""Brings leads to the customer's CRM. One file a way; where the organisation has no address, a local record is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings

from ..models import Organization


@dataclass(frozen=True)
class Receipt:
    """What is known after a delivery: to where it went and what was answered (None: nobody was asked).

    `recorded` says that nothing left the house: no CRM is connected.
    """

    target: str
    status: int | None = None
    text: str = ""
    recorded: bool = False


class Crm(Protocol):
    """A way to bring a lead to a CRM."""

    def deliver(self, delivery_id: UUID, payload: dict[str, Any]) -> Receipt:
        """Deliver; the id is the same for each try, so that the receiver can recognise a repetition.

        Raises `RetryLater` when told to slow down, `PermanentError` for what will never work, and anything else when
        another try may help.
        """
        ...


def crm_of(organization: Organization) -> Crm:
    """The organisation's own webhook, else the installation's, else a local record."""
    from .local import LocalRecord
    from .webhook import SignedWebhook

    if organization.crm_webhook_url:
        return SignedWebhook(organization.crm_webhook_url, organization.crm_webhook_secret)
    if url := _url_of_installation():
        return SignedWebhook(url, getattr(settings, "CRM_WEBHOOK_SECRET", "") or organization.crm_webhook_secret)
    return LocalRecord()


def is_connected(organization: Organization) -> bool:
    """Whether the organisation's leads reach a CRM, and are not only recorded here."""
    return bool(organization.crm_webhook_url or _url_of_installation())


def _url_of_installation() -> str:
    return str(getattr(settings, "CRM_WEBHOOK_URL", ""))
