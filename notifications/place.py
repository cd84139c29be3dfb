"""The inbox's entry in the head of the members' pages."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.navigation import Place, register_place
from admin_lists.counts import capped_count

from .inbox import inbox_of

#: More unread lines than this are not counted.
MOST = 99


def unread_of(user: User) -> str:
    """How many lines the person has not read, as the bell says it; empty for none."""
    count = capped_count(inbox_of(user).filter(read_at__isnull=True), MOST)
    return str(count) if count.number else ""


def register() -> None:
    """Register the entry; called once, when the app is ready."""
    register_place(
        Place(
            "inbox",
            _("Inbox"),
            "notifications:inbox",
            order=90,
            news=unread_of,
            news_view="notifications:unread",
            news_label=_("unread"),
        )
    )
