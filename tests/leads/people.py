"""Organisations, members and keys for the product's tests."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model

from accounts.models import ApiKey, Membership, Organization, Role
from accounts.services import create_api_key
from leads.models import CrmWebhook, Lead

#: `settings.ROLES` of a test where only what is given to the person as such counts.
NO_ROLES: dict[str, set[str]] = {}


def make_organization(slug: str = "acme", **fields: Any) -> Organization:
    webhook = fields.pop("crm_webhook_url", "")
    organization = Organization.objects.create(name=fields.pop("name", slug.title()), slug=slug, **fields)
    if webhook:
        CrmWebhook.objects.create(organization=organization, url=webhook)
    return organization


def make_user(name: str, **fields: Any) -> Any:
    """Somebody with the address name@example.org."""
    return get_user_model().objects.create_user(f"{name}@example.org", "secret", **fields)


def make_member(organization: Organization, name: str, role: Role = Role.AGENT, **fields: Any) -> Any:
    """A member whose joining is not announced."""
    user = make_user(name)
    Membership.objects.create(organization=organization, user=user, role=role, **fields)
    return user


def make_key(organization: Organization) -> tuple[ApiKey, str]:
    return create_api_key(organization, "test")


def make_lead(organization: Organization, **fields: Any) -> Lead:
    """A lead whose creation is not announced."""
    fields.setdefault("name", "Ada")
    fields.setdefault("email", "ada@analytical.example")
    return Lead.objects.create(organization=organization, email_key=fields["email"].casefold() or None, **fields)


def task_names(handles: list[Any]) -> list[str]:
    return sorted(handle.job.task for handle in handles)
