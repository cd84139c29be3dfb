"""Asking somebody by mail to become a member."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import limits
from ..events import MemberInvited, member_invited
from ..members import lock_members
from ..models import Invitation, Membership, Organization, Role, User
from ..roles import may_give
from .members import add_member


def invite_member(
    organization: Organization, email: str, *, role: str = Role.AGENT, language: str = "", by: User | None = None
) -> Invitation:
    """Have an invitation mailed; to somebody who was invited before, once more, with a new link and this role.

    Raises `ValidationError`, see `check_invitation`. `by` is None where the site itself invites.
    """
    with transaction.atomic():
        check_invitation(organization, email, role=role, by=by)
        for name, subject in _limits(organization, email).items():
            limits.take(name, subject)
        invitation, _made = Invitation.objects.update_or_create(
            organization=organization,
            email=email,
            state=Invitation.State.OPEN,
            defaults={"role": role, "language": language, "invited_by": by, "sent_at": timezone.now()},
        )
        event = MemberInvited(organization_id=organization.pk, invitation_id=invitation.pk)
        member_invited.announce(event)
    return invitation


def check_invitation(organization: Organization, email: str, *, role: str, by: User | None) -> None:
    """Raise `ValidationError` if this invitation may not be sent; until the transaction ends that stays so.

    That is: into a role above one's own, to a member, over the limits "invitation" and "invitation_address".
    """
    lock_members([organization.pk])
    before = Invitation.objects.filter(organization=organization, email=email, state=Invitation.State.OPEN).first()
    if by is not None and not all(
        may_give(by, organization.pk, one) for one in {role, before.role if before else role}
    ):
        raise ValidationError({"role": _("You can invite people into your own role or one below it.")})
    if Membership.objects.filter(organization=organization, user__email=email).exists():
        raise ValidationError({"email": _("This person is already a member.")})
    if limits.wait_for("invitation", str(organization.pk)):
        raise ValidationError(_("Your organization has sent too many invitations today. Try again tomorrow."))
    if limits.wait_for("invitation_address", _limits(organization, email)["invitation_address"]):
        text = _("Your organization has sent too many invitations to this address today. Try again tomorrow.")
        raise ValidationError({"email": text})


def is_open(invitation: Invitation) -> bool:
    """Whether the invitation can be accepted: whoever sent it could still send it."""
    by = invitation.invited_by
    return (
        invitation.state == Invitation.State.OPEN
        and timezone.now() < invitation.expires_at
        and (by is None or may_give(by, invitation.organization_id, invitation.role))
    )


def accept_invitation(invitation_id: UUID, user: User) -> Membership:
    """Make the user a member in the role of the invitation.

    Raises `ValidationError` when the invitation has ended, or was made for another address.
    """
    with transaction.atomic():
        rows = Invitation.objects.filter(pk=invitation_id)
        # first the organization, then the row: as who sends it again does
        lock_members(rows.values_list("organization", flat=True))
        rows = rows.select_for_update(of=("self",)).select_related("organization", "invited_by")
        invitation = rows.first()
        if invitation is None or not is_open(invitation):
            raise ValidationError(_("This invitation is no longer open."))
        if invitation.email != user.email:
            raise ValidationError(_("This invitation is for another email address."))
        _end(invitation, Invitation.State.ACCEPTED)
        return add_member(invitation.organization, user, role=invitation.role, language=invitation.language)


def withdraw_invitation(invitation_id: UUID) -> bool:
    """Make the link of an invitation useless; False if it had ended."""
    with transaction.atomic():
        invitation = Invitation.objects.select_for_update().get(pk=invitation_id)
        if invitation.state != Invitation.State.OPEN:
            return False
        _end(invitation, Invitation.State.WITHDRAWN)
    return True


def _limits(organization: Organization, email: str) -> dict[str, str]:
    return {"invitation": str(organization.pk), "invitation_address": f"{organization.pk} {email.strip().lower()}"}


def _end(invitation: Invitation, state: Invitation.State) -> None:
    invitation.state, invitation.ended_at = state, timezone.now()
    invitation.save(update_fields=["state", "ended_at"])
