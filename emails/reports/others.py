"""The webhooks of services that are not proven here: known by the secret, and by what anymail checks besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.signals import AnymailTrackingEvent, RejectReason
from anymail.webhooks.base import AnymailBaseWebhookView
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.urls import Resolver404, resolve

from ..mail_providers import MailProvider
from .trust import NotTrusted, check_secret


def verify(request: HttpRequest, provider: MailProvider) -> None:
    """By the secret, then by anymail."""
    check_secret(request, provider)
    try:
        view(provider).run_validators(request)
    except (AnymailWebhookValidationFailure, ImproperlyConfigured) as error:
        raise NotTrusted(str(error)) from None


def view(provider: MailProvider) -> AnymailBaseWebhookView:
    """Anymail's view; raises `NotTrusted` where it has none."""
    path = "/mandrill/" if provider.name == "mandrill" else f"/{provider.name}/tracking/"
    try:
        found: Any = resolve(path, urlconf="anymail.urls").func
    except Resolver404:
        raise NotTrusted("anymail reads no webhooks of this provider") from None
    made: AnymailBaseWebhookView = found.view_class(webhook_secret=[provider.webhook_secret])
    return made


def is_lasting(event: AnymailTrackingEvent) -> bool:
    """As anymail sees it."""
    return event.reject_reason in {RejectReason.BOUNCED, RejectReason.INVALID}


def tags(event: AnymailTrackingEvent) -> Mapping[str, Any]:
    """The metadata that the mail was given."""
    return dict(event.metadata or {})
