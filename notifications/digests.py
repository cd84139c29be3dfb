"""The daily mail of what a person has not read: whom it is for, and what it tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.services import have_digest_mailed

from .inbox import inbox_of
from .models import Notification

#: News that one mail tells of at most; older ones have their turn the next day.
MOST = 1_000
#: What is older is no news.
NEWS_FOR = timedelta(days=7)


def _news() -> Q:
    """Neither read nor told of by a daily mail."""
    return Q(read_at__isnull=True, mailed_at__isnull=True, created_at__gt=timezone.now() - NEWS_FOR)


def people_with_news() -> QuerySet[User]:
    """Who may get a daily mail now."""
    news = Notification.objects.filter(_news(), user=OuterRef("pk"))
    return User.objects.filter(Exists(news), is_active=True, wants_digest=True)


def plan(people: Iterable[User]) -> dict[str, Any]:
    """Have a mail sent to each person with unread news, and note on each of these that it was told.

    Both in one transaction for each person: whatever breaks off, or runs twice, tells nothing twice.
    """
    return {"digests": sum(_plan(person.pk) for person in people)}


def _plan(user_id: UUID) -> bool:
    with transaction.atomic():
        # one at a time for a person: another run may be at them
        person = people_with_news().select_for_update(no_key=True).filter(pk=user_id).first()
        if person is None:
            return False
        # of an erased lead no title is left
        news = inbox_of(person).filter(_news()).exclude(title="").order_by("-created_at", "pk")[:MOST]
        found = list(news.values_list("pk", "title", "organization_id"))
        if not found:
            return False
        Notification.objects.filter(pk__in=[pk for pk, _title, _of in found]).update(mailed_at=timezone.now())
        organizations = {of for _pk, _title, of in found}
        have_digest_mailed(
            user_id,
            Counter(title for _pk, title, _of in found).items(),
            organization_id=organizations.pop() if len(organizations) == 1 else None,
        )
    return True
