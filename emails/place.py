"""The campaigns' entry in the head of the members' pages."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from accounts import sight
from accounts.models import User
from accounts.navigation import Place, register_place


def sees_campaigns(user: User) -> bool:
    """Whether the person may look at the campaigns of some organization."""
    return sight.may_somewhere(user, "emails.view_campaign")


def register() -> None:
    """Register the entry; called once, when the app is ready."""
    register_place(
        Place(
            "campaigns",
            _("Campaigns"),
            "campaigns:list",
            order=20,
            shown_to=sees_campaigns,
        )
    )
