"""Organizations, the people in them, and what lets a person or a program in."""

from .api_key import ApiKey
from .invitation import Invitation
from .limit import Limit
from .organization import Membership, Organization, Role
from .user import User

__all__ = ["ApiKey", "Invitation", "Limit", "Membership", "Organization", "Role", "User"]
