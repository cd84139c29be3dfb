"""What an organization's deliveries to its CRM are signed with."""

from __future__ import annotations

from ..models import CrmWebhook
from ..models.crm import new_webhook_secret


def replace_webhook_secret(webhook: CrmWebhook) -> str:
    """Sign the organization's deliveries with a new secret from now on; returns it, to be shown once."""
    webhook.secret = new_webhook_secret()
    webhook.save(update_fields=["secret"])
    return webhook.secret
