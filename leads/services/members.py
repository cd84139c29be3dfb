"""Members and keys of an organisation."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from ..events import MemberJoined, member_joined
from ..models import ApiKey, Membership, Organization, Role
from ..models.organization import new_webhook_secret


def add_member(
    organization: Organization, user: AbstractBaseUser, *, role: str = Role.MEMBER, language: str = ""
) -> Membership:
    """Make the user a member, and announce it; someone who is a member already stays what they are."""
    with transaction.atomic():
        membership, created = Membership.objects.get_or_create(
            organization=organization, user_id=user.pk, defaults={"role": role, "language": language}
        )
        if created:
            member_joined.announce(MemberJoined(organization_id=organization.id, user_id=user.pk))
    return membership


def create_api_key(organization: Organization, name: str) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be shown again."""
    secret = ApiKey.new_secret()
    key = ApiKey.objects.create(
        organization=organization, name=name, prefix=secret[:8], key_hash=ApiKey.hash_of(secret)
    )
    return key, secret


def replace_webhook_secret(organization: Organization) -> str:
    """Sign the organization's deliveries with a new secret from now on; returns it, to be shown once."""
    organization.crm_webhook_secret = new_webhook_secret()
    organization.save(update_fields=["crm_webhook_secret"])
    return organization.crm_webhook_secret
