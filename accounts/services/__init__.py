"""What other code may do here. Each function is one transaction: the change, then its event."""

from .api_keys import create_api_key
from .digests import choose_digest, have_digest_mailed
from .invitations import accept_invitation, check_invitation, invite_member, is_open, withdraw_invitation
from .members import add_member, change_role, keep_an_owner, remove_member
from .passwords import request_password_reset
from .time_zones import choose_time_zone

__all__ = [
    "accept_invitation",
    "add_member",
    "change_role",
    "check_invitation",
    "choose_digest",
    "choose_time_zone",
    "create_api_key",
    "have_digest_mailed",
    "invite_member",
    "is_open",
    "keep_an_owner",
    "remove_member",
    "request_password_reset",
    "withdraw_invitation",
]
