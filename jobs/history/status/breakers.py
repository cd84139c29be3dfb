"""Findings about circuit breakers: those that hold jobs back."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from ..breakers import breakers
from ..verdict import duration, seconds_between
from .finding import Finding


def findings_of_breakers(now: datetime) -> list[Finding]:
    """Each breaker that is not closed; by hand or not, a person is to look at what it stands for."""
    found = []
    for one in breakers():
        if one.since is None:
            continue
        values = {"name": one.breaker.name, "time": duration(seconds_between(one.since, now))}
        if one.by_hand:
            text = _(
                "Breaker %(name)s: opened by hand %(time)s ago. Jobs of its tasks wait until somebody closes it: "
                "`manage.py jobs limits --close %(name)s`."
            )
        elif one.state == "half_open":
            text = _(
                "Breaker %(name)s: open for %(time)s, and one job tries now. Others of its tasks wait: see what "
                "they call, or `manage.py jobs limits --close %(name)s`."
            )
        else:
            left = max(0.0, seconds_between(now, one.next_probe) or 0.0)
            values["left"] = duration(left)
            text = _(
                "Breaker %(name)s: open for %(time)s, next probe in %(left)s. Jobs of its tasks wait: see what "
                "they call, or `manage.py jobs limits --close %(name)s`."
            )
        found.append(Finding("breaker_open", "", text % values, since=one.since))
    return found
