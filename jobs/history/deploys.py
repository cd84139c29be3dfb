"""When other code came: what somebody marked, and the releases that keepers have seen by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..conf import jobs_settings
from ..models import DeployMark, Release

#: So many are shown, the latest ones.
MOST = 50
#: A release whose keeper began so soon before or after a mark of the same name is the same deploy.
SAME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Deploy:
    """That other code came: its name, when, and the primary key, as text, of who marked it (empty: nobody is named)."""

    label: str
    at: datetime
    by: str = ""


def deploys_since(moment: datetime) -> list[Deploy]:
    """The deploys from `moment` on in their order, the latest 50: two short look-ups."""
    alias = jobs_settings().database
    marks = DeployMark.objects.using(alias).filter(at__gte=moment).order_by("-at", "-pk")[:MOST]
    found = [Deploy(mark.label, mark.at, mark.by_id) for mark in marks]
    for release in Release.objects.using(alias).filter(since__gte=moment).order_by("-since")[:MOST]:
        if not any(one.label == release.name and abs(one.at - release.since) <= SAME for one in found):
            found.append(Deploy(release.name, release.since))
    return sorted(found, key=lambda one: one.at)[-MOST:]
