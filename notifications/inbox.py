"""What stands in a person's inbox."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from accounts import sight
from accounts.models import User

from .models import Notification


def inbox_of(user: User) -> QuerySet[Notification]:
    """What the user was told, without what belongs to an organization that they have left."""
    own = Notification.objects.filter(user_id=user.pk)
    ids = sight.organization_ids(user)
    return own if ids is None else own.filter(Q(organization=None) | Q(organization__in=ids))
