"""Organisations, members and keys for the product's tests."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model

from leads.models import ApiKey, Lead, Membership, Organization, Role
from leads.services import create_api_key


def make_organization(slug: str = "acme", **fields: Any) -> Organization:
    return Organization.objects.create(name=fields.pop("name", slug.title()), slug=slug, **fields)


def make_user(username: str, **fields: Any) -> Any:
    return get_user_model().objects.create_user(username, f"{username}@example.org", "secret", **fields)


def make_member(organization: Organization, username: str, role: Role = Role.MEMBER, **fields: Any) -> Any:
    """A member whose joining is not announced."""
    user = make_user(username)
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
