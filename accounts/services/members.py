"""Who joins an organization, what they are there, and who leaves."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from ..events import MemberJoined, member_joined
from ..members import leaves_no_owner, lock_members
from ..models import Membership, Organization, Role


def add_member(
    organization: Organization, user: AbstractBaseUser, *, role: str = Role.AGENT, language: str = ""
) -> Membership:
    """Make the user a member, and announce it; someone who is a member already stays what they are."""
    with transaction.atomic():
        membership, created = Membership.objects.get_or_create(
            organization=organization, user_id=user.pk, defaults={"role": role, "language": language}
        )
        if created:
            member_joined.announce(MemberJoined(organization_id=organization.id, user_id=user.pk))
    return membership


def change_role(membership: Membership, role: str) -> None:
    """Give the member another role. Raises `ValidationError` for the last owner: somebody must be able to do all."""
    with transaction.atomic():
        if role != Role.OWNER:
            keep_an_owner(membership)
        membership.role = role
        membership.save(update_fields=["role"])


def remove_member(membership: Membership) -> None:
    """Take the member out of the organization. Raises `ValidationError` for the last owner."""
    with transaction.atomic():
        keep_an_owner(membership)
        membership.delete()


def keep_an_owner(membership: Membership) -> None:
    """Raise `ValidationError` if this is the last owner; until the transaction ends nobody changes that.

    Two owners may take each other out at the same moment.
    """
    lock_members([membership.organization_id])
    if leaves_no_owner(Membership.objects.filter(pk=membership.pk)):
        raise ValidationError(_("An organization needs an owner: make somebody else an owner first."))
