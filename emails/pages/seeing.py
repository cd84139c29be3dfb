"""Which campaigns a person sees, what they may do with one, and the note of what they did."""

from __future__ import annotations

from uuid import UUID

from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404

from accounts import sight
from accounts.models import User

from ..models import Campaign

VIEW, ADD, CHANGE_IT, DELETE, SEND = (f"emails.{name}_campaign" for name in ("view", "add", "change", "delete", "send"))
RESEND = "emails.resend_emailmessage"


def campaigns_of(person: User) -> QuerySet[Campaign]:
    """All that the person sees; raises `Http404` for who may see none at all."""
    ids = sight.organization_ids(person, VIEW)
    if ids == []:
        raise Http404
    rows = Campaign.objects.select_related("organization")
    return rows if ids is None else rows.filter(organization_id__in=ids)


def campaign_of(person: User, campaign_id: UUID, permission: str = "") -> Campaign:
    """The campaign; raises `Http404` for who may not see it, and `PermissionDenied` for who may do no more."""
    campaign = Campaign.objects.select_related("organization").filter(pk=campaign_id).first()
    if campaign is None or not sight.may(person, VIEW, campaign.organization_id):
        raise Http404
    if permission and not sight.may(person, permission, campaign.organization_id):
        raise PermissionDenied
    return campaign


def rights_on(campaign: Campaign, person: User) -> dict[str, bool]:
    """What the person may do with it, whatever state it is in."""
    names = {"edit": CHANGE_IT, "delete": DELETE, "send": SEND, "resend": RESEND}
    return {name: sight.may(person, permission, campaign.organization_id) for name, permission in names.items()}


def log(person: User, row: Model, text: str, flag: int = CHANGE) -> None:
    """Note in the admin's log what the person has done."""
    LogEntry.objects.log_actions(
        user_id=person.pk, queryset=[row], action_flag=flag, change_message=text, single_object=True
    )
