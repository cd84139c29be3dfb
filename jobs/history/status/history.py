"""Findings about the history of a broker that is not the rows: it is late, it is incomplete, its broker is away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import npgettext

from ...broker.facts import Lag
from ..lateness import behind
from ..live import whole_lag
from .finding import Finding, Limits

#: For so long it is told that jobs left less than all.
TOLD = timedelta(days=1)


def findings_of_history(lags: Mapping[str, Lag], now: datetime, limits: Limits) -> list[Finding]:
    """How late the history is, and of what it is incomplete; `lags` by queue."""
    found = []
    late = whole_lag(list(lags.values()))
    if late.seconds > limits.history_lag:
        text = _(
            "%(behind)s See that `manage.py run_huey` runs and that its keeper reaches the database: look for "
            "duty_failed in its log."
        )
        found.append(
            Finding("history_late", "", text % {"behind": behind(late)}, since=now - timedelta(seconds=late.seconds))
        )
    for queue, lag in sorted(lags.items()):
        if lag.cut_since is None or lag.cut_until is None or lag.cut_until < now - TOLD:
            continue
        values = {
            "queue": queue,
            "since": date_format(localtime(lag.cut_since), "SHORT_DATETIME_FORMAT"),
            "until": date_format(localtime(lag.cut_until), "SHORT_DATETIME_FORMAT"),
            "count": lag.cut,
        }
        text = npgettext(
            "finding",
            "%(queue)s: history incomplete since %(since)s, until %(until)s: of %(count)d completed job only the count "
            "was kept, or that it ended, as too much waited for the database. The counters are exact, failures are "
            "whole. See that `manage.py run_huey` runs and reaches the database.",
            "%(queue)s: history incomplete since %(since)s, until %(until)s: of %(count)d completed jobs only the "
            "count was kept, or that they ended, as too much waited for the database. The counters are exact, "
            "failures are whole. See that `manage.py run_huey` runs and reaches the database.",
            lag.cut,
        )
        goes_on = now - lag.cut_until < timedelta(seconds=limits.history_lag)
        found.append(Finding("history_incomplete", queue, text % values, goes_on, lag.cut_since))
    return found


def finding_of_broker(error: str) -> Finding:
    """The broker is away."""
    text = _(
        "The broker is away (%(error)s). See that it runs and that REDIS_URL is right. What is enqueued meanwhile "
        "waits in the database; the numbers of live jobs are missing here."
    )
    return Finding("broker_away", "", text % {"error": error})
