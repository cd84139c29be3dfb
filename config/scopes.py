"""Whose a job is, and whose jobs a person sees: an organization's. The engine asks (`JOBS` in the settings)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.apps import apps

from accounts import sight

#: What a call's argument names, if it does not name the organization itself.
_ROWS = {
    "message_id": "emails.EmailMessage",
    "campaign_id": "emails.Campaign",
    "notification_id": "notifications.Notification",
    "sms_id": "notifications.SmsMessage",
    "submission_id": "leads.Submission",
    "invitation_id": "accounts.Invitation",
}


def organization_of(arguments: Mapping[str, Any]) -> Any:
    """The organization that a call, or an event, names; else a function that looks for it in the row that it names."""
    if arguments.get("organization_id") is not None:
        return arguments["organization_id"]
    for name, label in _ROWS.items():
        if arguments.get(name) is not None:
            return lambda: _organization_of_row(label, arguments[name])
    return None


def organizations_of(user: Any, permission: str) -> Collection[UUID] | None:
    """The organizations with whose jobs a person may do what the permission says; None: with everybody's."""
    if sight.may_everywhere(user, "jobs.view_every_scope", permission):
        return None
    return sight.organization_ids(user, permission)


def _organization_of_row(label: str, row_id: Any) -> Any:
    return apps.get_model(label)._base_manager.filter(pk=row_id).values_list("organization_id", flat=True).first()
