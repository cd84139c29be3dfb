"""Tags of the engine's admin pages."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.template.context import Context
from django.template.loader import render_to_string
from django.utils.html import format_html

from admin_lists.moments import ago, exact_time

from ..admin.marks import MARKS, outcome_mark, state_mark
from ..admin.overview import part_or_nothing
from ..admin.page_links import Link
from ..history.why_texts import time_of

register = template.Library()


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
def queue_overview(context: Context) -> str:
    """The overview of all queues; nothing for who does not see everybody's jobs."""
    return part_or_nothing(context["request"], "overview")


@register.simple_tag(takes_context=True)
def jobs_summary(context: Context) -> str:
    """How the jobs are, in a few lines, for the admin's first page; nothing for who does not see everybody's.

    Nor on the page of one app, whose template extends that of the first page.
    """
    if "app_label" in context:
        return ""
    part = part_or_nothing(context["request"], "summary")
    return render_to_string("admin/jobs/summary.html", {"part": part}) if part else ""
