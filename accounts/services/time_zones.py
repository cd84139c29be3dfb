"""The clock that a person's pages show."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from ..models import User
from ..time_zones import time_zones


def choose_time_zone(user_id: UUID, name: str) -> None:
    """Show times to the person as in this zone from now on, or as the site does (""); raises `ValidationError`."""
    if name and name not in time_zones():
        raise ValidationError(_("%(name)s is not a time zone. Use one like America/Sao_Paulo.") % {"name": name})
    User.objects.filter(pk=user_id).update(time_zone=name)
