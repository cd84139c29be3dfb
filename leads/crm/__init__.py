"""Brings leads to the customer's CRM. One file a way; where the organisation has no address, a local record is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings

from accounts.models import Organization

from ..models import CrmWebhook


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


def webhook_of(organization: Organization) -> CrmWebhook:
    """The organization's own webhook; without an address until somebody gives one."""
    webhook, _made = CrmWebhook.objects.get_or_create(organization=organization)
    return webhook


def crm_of(webhook: CrmWebhook) -> Crm:
    """The organization's own webhook, else the installation's, else a local record."""
    from .local import LocalRecord
    from .webhook import SignedWebhook

    if webhook.url:
        return SignedWebhook(webhook.url, webhook.secret)
    if url := _url_of_installation():
        return SignedWebhook(url, getattr(settings, "CRM_WEBHOOK_SECRET", "") or webhook.secret)
    return LocalRecord()


def is_connected(organization: Organization) -> bool:
    """Whether the organization's leads reach a CRM, and are not only recorded here."""
    return bool(_url_of_installation()) or CrmWebhook.objects.filter(organization=organization).exclude(url="").exists()


def _url_of_installation() -> str:
    return str(getattr(settings, "CRM_WEBHOOK_URL", ""))
