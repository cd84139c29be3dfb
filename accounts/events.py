"""The business facts that `accounts` announces."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from jobs import Event, EventSignal


@dataclass(frozen=True, kw_only=True)
class MemberJoined(Event):
    """A user became a member of the organization."""

    organization_id: UUID
    user_id: UUID


@dataclass(frozen=True, kw_only=True)
class MemberInvited(Event):
    """Somebody is asked to become a member; `invitation_id` says who, and by whom."""

    organization_id: UUID
    invitation_id: UUID


@dataclass(frozen=True, kw_only=True)
class PasswordResetRequested(Event):
    """Somebody asked for a new password for this user, who may be nobody; only who reads the mail can choose one."""

    user_id: UUID


@dataclass(frozen=True, kw_only=True)
class DigestDue(Event):
    """A person has news in the inbox that they have not read, and that no daily mail has told of yet.

    `lines` are the news' titles, the newest first, each with how often it stands there. `organization_id` is None where
    they belong to no single organization.
    """

    organization_id: UUID | None
    user_id: UUID
    lines: tuple[tuple[str, int], ...]


member_joined = EventSignal(MemberJoined)
member_invited = EventSignal(MemberInvited)
password_reset_requested = EventSignal(PasswordResetRequested)
digest_due = EventSignal(DigestDue)
