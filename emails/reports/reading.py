"""A service's request becomes reports: first it is verified, then read by anymail's view."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from uuid import UUID

from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from anymail.webhooks.base import AnymailBaseWebhookView
from django.http import HttpRequest

from ..mail_providers import MailProvider
from . import others, resend, sendgrid
from .report import Kind, Report
from .trust import Unreadable

_KINDS = {
    EventType.QUEUED: Kind.TAKEN,
    EventType.SENT: Kind.TAKEN,
    EventType.DEFERRED: Kind.TAKEN,
    EventType.DELIVERED: Kind.DELIVERED,
    EventType.REJECTED: Kind.REJECTED,
    EventType.FAILED: Kind.REJECTED,
    EventType.BOUNCED: Kind.BOUNCED,
    EventType.COMPLAINED: Kind.COMPLAINED,
}
#: Why a service itself did not pass a mail on: it knows the address as one that takes none.
_KNOWN_BAD = frozenset({RejectReason.BOUNCED, RejectReason.INVALID})


class Service(Protocol):
    """What is different with one service; a module of this package."""

    def verify(self, request: HttpRequest, provider: MailProvider) -> None:
        """Raise `NotTrusted` unless the request surely comes from the service."""

    def view(self, provider: MailProvider) -> AnymailBaseWebhookView:
        """Anymail's view, which reads the request; its own checks are not used unless `verify` calls them."""

    def is_lasting(self, event: AnymailTrackingEvent) -> bool:
        """Whether a bounce says that the address takes no mail at all."""

    def tags(self, event: AnymailTrackingEvent) -> Mapping[str, Any]:
        """What the mail was marked with."""


def read(request: HttpRequest, provider: MailProvider) -> list[Report]:
    """The reports of a request; raises `NotTrusted`, or `Unreadable` for a trusted one that makes no sense."""
    service = _service(provider.name)
    service.verify(request, provider)
    try:
        events: Iterable[AnymailTrackingEvent] = service.view(provider).parse_events(request)
        found = [_report(service, provider.name, event) for event in events]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Unreadable(type(error).__name__) from error
    return [report for report in found if report is not None]


def _service(name: str) -> Service:
    modules: dict[str, Any] = {"resend": resend, "sendgrid": sendgrid}
    service: Service = modules.get(name, others)
    return service


def _report(service: Service, name: str, event: AnymailTrackingEvent) -> Report | None:
    kind = _KINDS.get(event.event_type)
    if kind is None:
        return None
    mail_id = None
    with contextlib.suppress(ValueError):
        mail_id = UUID(str(service.tags(event).get("mail", "")))
    lasting = kind == Kind.BOUNCED and service.is_lasting(event)
    lasting = lasting or (kind == Kind.REJECTED and event.reject_reason in _KNOWN_BAD)
    if kind == Kind.REJECTED and event.reject_reason == RejectReason.SPAM:
        kind = Kind.COMPLAINED
    detail = str(event.mta_response or event.description or event.reject_reason or "")
    receipt = str(event.message_id or "")
    return Report(name, kind, mail_id, receipt, event.timestamp, lasting, " ".join(detail.split())[:500])
