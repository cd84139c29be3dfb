"""Keys with which programs come in."""

from __future__ import annotations

from ..models import ApiKey, Organization


def create_api_key(organization: Organization, name: str) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be shown again."""
    secret = ApiKey.new_secret()
    key = ApiKey.objects.create(
        organization=organization, name=name, prefix=secret[:8], key_hash=ApiKey.hash_of(secret)
    )
    return key, secret
