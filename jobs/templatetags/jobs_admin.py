"""Tags of the engine's admin pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.template.context import Context
from django.urls import reverse
from django.utils.html import format_html

from admin_lists.moments import ago, exact_time

from .. import clock
from ..admin.marks import MARKS, outcome_mark, state_mark
from ..admin.page_links import Link
from ..admin.sight import sees_all
from ..broker.records import QueueCounts
from ..errors import BrokerAway
from ..history import lookup, verdict
from ..history.status.report import headline, report
from ..history.why_texts import time_of
from ..operate.workers import workers
from ..states import State

register = template.Library()

#: Worker processes that the overview shows.
MOST_WORKERS = 200


@register.simple_tag
def job_ago(moment: datetime, now: datetime) -> str:
    """How long ago, or in how long, with the moment on hover."""
    return ago(moment, now)


@register.simple_tag
def job_state(state: str) -> str:
    """A state, stored or shown, as a coloured word with its shape."""
    return state_mark(state)


@register.simple_tag
def job_outcome(outcome: str) -> str:
    """How an attempt ended, as a coloured word with its shape."""
    return outcome_mark(outcome)


@register.filter
def job_tone(state: str) -> str:
    """The class of a state's colour, for what stands beside the word."""
    mark = MARKS.get(state)
    return f"tone-{mark.tone}" if mark else ""


@register.simple_tag
def job_time(moment: datetime | None) -> str:
    """The exact moment."""
    return exact_time(moment)


@register.simple_tag
def job_second(moment: datetime | None) -> str:
    """The exact moment to the second, without its day if that is today."""
    return "–" if moment is None else time_of(moment)


@register.simple_tag
def job_link(link: Link) -> str:
    """A link, or its text alone."""
    return format_html('<a href="{}">{}</a>', link.address, link.text) if link.address else link.text


@register.simple_tag(takes_context=True)
def sees_all_jobs(context: Context) -> bool:
    """Whether the reader sees everybody's jobs, and so what concerns whole queues."""
    return sees_all(context["request"])


@register.inclusion_tag("admin/jobs/overview.html", takes_context=True)
def queue_overview(context: Context) -> dict[str, Any]:
    """All queues: what is wrong, the numbers with links to the jobs behind them, and pause."""
    request = context["request"]
    site = request.current_app
    seen = report()
    list_address = reverse(f"{site}:jobs_job_changelist")
    rows = [
        {
            "report": row,
            "address": f"{list_address}?{urlencode({'queue': row.name})}",
            "due": lookup.capped(row.counts.waiting) if row.counts else "–",
            "later": lookup.capped(row.counts.scheduled) if row.counts else "–",
            "oldest": verdict.duration(row.oldest_wait),
            "cells": [
                {
                    "count": row.states[state],
                    "address": f"{list_address}?{urlencode({'queue': row.name, 'state': state})}",
                }
                for state in State
            ],
            "groups": reverse(f"{site}:jobs_queue_groups", args=[row.name]),
            "tags": len(row.counts.paused_tags) if row.counts else 0,
            "limits": reverse(f"{site}:jobs_queue_limits", args=[row.name]),
            "button": reverse(f"{site}:jobs_queue_{_other_way(row.counts)}", args=[row.name]),
        }
        for row in seen.queues
    ]
    return {
        "report": seen,
        "headline": headline(seen.findings),
        "others": seen.findings[1:],
        "rows": rows,
        "shared": reverse(f"{site}:jobs_shared_limits"),
        "workers": _workers(site),
        "now": clock.now(),
        "words": [state_mark(state) for state in State],
        "may_limit": request.user.has_perm("jobs.change_limits"),
        "may_pause": request.user.has_perm("jobs.pause_queue"),
        "csrf_token": context.get("csrf_token"),
    }


def _workers(site: str) -> list[dict[str, Any]]:
    try:
        found = workers()
    except BrokerAway:  # the headline says so
        return []
    names = {True: "resume", False: "pause"}
    return [
        {"seen": one, "button": reverse(f"{site}:jobs_worker_{names[one.paused]}", args=[one.id])}
        for one in found[:MOST_WORKERS]
    ]


def _other_way(counts: QueueCounts | None) -> str:
    return "resume" if counts is not None and counts.paused else "pause"
