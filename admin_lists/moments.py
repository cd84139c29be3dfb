"""Moments as people say them: how long ago, or in how long, with the exact time on hover."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

#: Seconds that nobody tells apart from now.
JUST_NOW = 5


def ago(moment: datetime, now: datetime | None = None) -> SafeString:
    """A `<time>` that reads *just now*, *12 seconds ago*, *3 hours ago* or *in 2 days*, counted from `now`."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        exact_time(moment),
        distance(moment, now or timezone.now()),
    )


def distance(moment: datetime, now: datetime) -> str:
    """How far the moment lies from `now`, in one unit."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < JUST_NOW:
        return _("just now")
    count = int(abs(seconds))
    if count < 60:
        if seconds < 0:
            return ngettext("in %(count)d second", "in %(count)d seconds", count) % {"count": count}
        return ngettext("%(count)d second ago", "%(count)d seconds ago", count) % {"count": count}
    if seconds < 0:
        return _("in %(time)s") % {"time": timesince(now, moment, depth=1)}
    return _("%(time)s ago") % {"time": timesince(moment, now, depth=1)}


def exact_time(moment: datetime | None) -> str:
    """The moment in the reader's zone and format; in UTC where the zone has no such moment; a dash for none."""
    if moment is None:
        return "–"
    try:
        return date_format(timezone.localtime(moment), "DATETIME_FORMAT")
    except OverflowError:
        return moment.isoformat(" ", "seconds")
