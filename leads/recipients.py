"""Who is told about a lead, and in which language; who reads what the lead replies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from accounts.members import active_members
from accounts.models import Membership, Role

from .models import Lead


@dataclass(frozen=True)
class Recipient:
    """A member of the organisation."""

    user_id: UUID
    email: str
    language: str


def people_to_tell(organization_id: UUID, assignee_id: UUID | None) -> list[Recipient]:
    """The assignee if active, else the active managers, else the owners, else all members: somebody always hears.

    Empty only if the organisation has no active member, which `jobs status` says.
    """
    return next(_in_line(organization_id, assignee_id), [])


def member_to_tell(organization_id: UUID, user_id: UUID | None) -> Recipient | None:
    """Who this is, if an active member; nobody in their place."""
    members = active_members(organization_id).select_related("user", "organization")
    return next(map(_recipient, members.filter(user_id__in=[] if user_id is None else [user_id])), None)


def people_to_mail(organization_id: UUID, assignee_id: UUID | None) -> list[Recipient]:
    """The first of those in line whom mail reaches; where it reaches nobody, whom it would be for."""
    first: list[Recipient] = []
    for people in _in_line(organization_id, assignee_id):
        unreached = _unreached(organization_id, [person.email for person in people])
        if reached := [person for person in people if person.email not in unreached]:
            return reached
        first = first or people
    return first


#: Answers which of these addresses no mail of the organisation goes to.
Unreached = Callable[[UUID, Sequence[str]], Collection[str]]
_registered: list[Unreached] = []


def register_unreached(unreached: Unreached) -> None:
    """Let `people_to_mail` know of addresses that are not written to."""
    if unreached not in _registered:
        _registered.append(unreached)


#: Answers who of these people wants no mail about leads of a kind; the kinds are those of `notifications`.
Declined = Callable[[Collection[UUID], str], Collection[UUID]]
_declining: list[Declined] = []


def register_declined(declined: Declined) -> None:
    """Let `without_declined` know of people who want no mail."""
    if declined not in _declining:
        _declining.append(declined)


def without_declined(people: Sequence[Recipient], kind: str) -> list[Recipient]:
    """Those who want a mail of this kind. Who does not has it in the inbox: nobody else is told in their place."""
    ids = [person.user_id for person in people]
    declined = {one for answers in _declining for one in answers(ids, kind)}
    return [person for person in people if person.user_id not in declined]


def _unreached(organization_id: UUID, addresses: Sequence[str]) -> set[str]:
    return {"", *(address for unreached in _registered for address in unreached(organization_id, addresses))}


def _in_line(organization_id: UUID, assignee_id: UUID | None) -> Iterator[list[Recipient]]:
    """Those who are told, and in whose place others are; each time somebody."""
    active = active_members(organization_id).select_related("user", "organization").order_by("created_at", "pk")
    assignee = active.filter(user_id__in=[] if assignee_id is None else [assignee_id])
    for members in (assignee, active.filter(role=Role.MANAGER), active.filter(role=Role.OWNER), active):
        told = [_recipient(member) for member in members]
        if told:
            yield told


def _recipient(member: Membership) -> Recipient:
    return Recipient(member.user_id, member.user.email, member.language or member.organization.language)


def reply_address(lead: Lead) -> str:
    """Where the lead's replies to a mail are read: the organisation's address, else that of who is told of the lead.

    Empty if nobody has one.
    """
    if lead.organization.mail_reply_to:
        return lead.organization.mail_reply_to
    people = people_to_mail(lead.organization_id, lead.assignee_id)
    return next((person.email for person in people if person.email), "")
