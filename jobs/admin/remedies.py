"""What mends a finding, or where one looks: the link or button that stands beside its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from ..history.status.finding import Finding


@dataclass(frozen=True, slots=True)
class Remedy:
    """A link, or with `posts` a button."""

    label: Any
    address: str
    posts: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the reader may do to whole queues."""

    pauses: bool
    limits: bool


def remedy_of(finding: Finding, site: str, allowed: Allowed) -> Remedy | None:
    """What mends it for this reader of the admin site of that name; None: only what its words say."""
    if finding.address:
        return Remedy(_("Look there"), finding.address)
    make = _BY_CODE.get(finding.code)
    try:
        return None if make is None else make(finding, site, allowed)
    except NoReverseMatch:  # a row can have a queue that no code could define
        return None


def _resume(finding: Finding, site: str, allowed: Allowed) -> Remedy | None:
    if not allowed.pauses:
        return None
    return Remedy(_("Resume"), reverse(f"{site}:jobs_queue_resume", args=[finding.queue]), posts=True)


def _dead_letters(finding: Finding, site: str, allowed: Allowed) -> Remedy:
    return Remedy(_("Dead letters by cause"), reverse(f"{site}:jobs_cause_changelist"))


def _jobs(state: str) -> Callable[[Finding, str, Allowed], Remedy]:
    def make(finding: Finding, site: str, allowed: Allowed) -> Remedy:
        given = {**({"queue": finding.queue} if finding.queue else {}), **({"state": state} if state else {})}
        return Remedy(_("Show these jobs"), f"{reverse(f'{site}:jobs_job_changelist')}?{urlencode(given)}")

    return make


def _slow(finding: Finding, site: str, allowed: Allowed) -> Remedy:
    if allowed.limits:
        return Remedy(_("Change its limits"), reverse(f"{site}:jobs_queue_limits", args=[finding.queue]))
    return _jobs("waiting")(finding, site, allowed)


def _tags(finding: Finding, site: str, allowed: Allowed) -> Remedy:
    return Remedy(_("Groups and tags"), reverse(f"{site}:jobs_queue_groups", args=[finding.queue]) + "#paused-tags")


def _breakers(finding: Finding, site: str, allowed: Allowed) -> Remedy:
    return Remedy(_("Providers and limits"), reverse(f"{site}:jobs_shared_limits"))


def _workers(finding: Finding, site: str, allowed: Allowed) -> Remedy:
    return Remedy(_("Show the workers"), reverse(f"{site}:app_list", args=["jobs"]) + "#workers")


def _schedules(finding: Finding, site: str, allowed: Allowed) -> Remedy:
    return Remedy(_("Show the schedules"), reverse(f"{site}:jobs_schedule_changelist"))


_BY_CODE: Mapping[str, Callable[[Finding, str, Allowed], Remedy | None]] = {
    "paused": _resume,
    "paused_tags": _tags,
    "dead_letters": _dead_letters,
    "breaker_open": _breakers,
    "nobody_works": _jobs("queued"),
    "oldest_waiting": _slow,
    "pending_too_long": _jobs("pending"),
    "unknown_queue": _jobs(""),
    "worker_in_trouble": _workers,
    "jobs_past_timeout": _workers,
    "news_dropped": _workers,
    "schedule_failing": _schedules,
    "schedule_to_come": _schedules,
}
