"""How the kinds of notifications look."""

from __future__ import annotations

from collections.abc import Mapping

from admin_lists.marks import Mark

from .models import Notification

KINDS: Mapping[str, Mark] = {
    Notification.Kind.INFO: Mark("quiet", "ring"),
    Notification.Kind.WARNING: Mark("again", "triangle"),
    Notification.Kind.URGENT: Mark("bad", "diamond"),
}
