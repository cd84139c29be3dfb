"""Deploys: a mark on the charts from which on other code runs."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from ..broker import get_broker
from ..conf import jobs_settings
from ..errors import InvalidOption
from ..history.deploys import Deploy
from ..models import DeployMark
from ..visible import visible
from .audit import note

logger = logging.getLogger("jobs")

LONGEST_LABEL = 100
#: For so long marks are kept: longer than any chart reaches back.
KEPT = timedelta(days=90)
#: Marks that go at once.
CHUNK = 1_000


def mark_deploy(label: str = "", *, at: datetime | None = None, by: AbstractBaseUser | None = None) -> Deploy:
    """Mark on every chart that something was deployed, now or `at` an aware time that is past.

    `label` says what, in up to 100 characters; empty: the release of `JOBS["RELEASE"]`. A keeper marks a new release by
    itself, which is not shown a second time. Marks go after 90 days. Raises `InvalidOption`.
    """
    label = visible(" ".join((label or jobs_settings().release).split()))
    if not label:
        raise InvalidOption(_("say what was deployed, for example v1.2.3, or set JOBS_RELEASE"))
    if len(label) > LONGEST_LABEL:
        text = _("%(label)s…: what was deployed is said in %(most)d characters at most")
        raise InvalidOption(text % {"label": label[:20], "most": LONGEST_LABEL})
    now = get_broker().now()
    if at is not None and (at.tzinfo is None or not now - KEPT <= at <= now):
        text = _("at=%(at)s: give a time of the last 90 days, with its zone")
        raise InvalidOption(text % {"at": at.isoformat()})
    row = DeployMark.objects.using(jobs_settings().database).create(
        label=label, at=at or now, by_id="" if by is None else str(by.pk)
    )
    note(by, row, _("Marked."))
    logger.info("deploy_marked label=%r", label)
    return Deploy(row.label, row.at, row.by_id)


def forget_marks(now: datetime) -> int:
    """Remove the marks that no chart reaches back to any more; returns how many."""
    old = DeployMark.objects.using(jobs_settings().database).filter(at__lt=now - KEPT)
    return int(old.filter(pk__in=list(old.order_by("at").values_list("pk", flat=True)[:CHUNK])).delete()[0])
