"""What a lead's page tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from jobs import State, jobs_about

from ..content import amount, message_of, news_of
from ..labels import ENRICHMENT_FIELDS, SCORE_RULES
from ..models import CLOSED, Lead, LeadStatus
from ..panels import registry

#: So many of the lead's messages, and of the jobs that wait for it, are looked at.
MESSAGES, JOBS = 20, 50
_LIVE = (State.PENDING, State.QUEUED, State.ACTIVE, State.BLOCKED)


@dataclass(frozen=True)
class Step:
    """What happens next by itself; `at` is None where it is on its way."""

    text: str | Promise
    at: datetime | None


def lead_details(lead: Lead) -> dict[str, Any]:
    """The lead's value, the score's reasons and what enrichment found, in words."""
    return {
        "amount": "" if lead.value is None else amount(lead.value, lead.currency),
        "reasons": [
            {"label": SCORE_RULES.get(reason["rule"], reason["rule"]), "points": reason["points"]}
            for reason in lead.score_reasons
        ],
        "findings": [
            {
                "label": ENRICHMENT_FIELDS.get(name, name),
                "value": {True: _("yes"), False: _("no")}.get(finding["value"], finding["value"]),
                "origin": finding["origin"],
                "provider": finding["provider"],
                "at": _moment(finding.get("at")),
            }
            for name, finding in sorted(lead.enrichment.items())
        ],
    }


def messages_of(lead: Lead) -> list[dict[str, Any]]:
    """What the person wrote, newest first, with what it gave beside its text."""
    rows = lead.submissions.only("content", "channel", "lead", "received_at").order_by("-received_at")[:MESSAGES]
    messages = [
        {
            "text": message_of(row),
            "at": row.received_at,
            "channel": row.get_channel_display(),
            "news": news_of(row, lead),
        }
        for row in rows
    ]
    shown = [message for message in messages if message["text"] or message["news"]]
    if lead.message and not any(message["text"] == lead.message for message in shown):
        shown.append({"text": lead.message, "at": lead.created_at, "channel": lead.get_source_display(), "news": []})
    return shown


def advice_on(lead: Lead) -> str:
    """What a person should do next, in a sentence; empty if there is nothing to say."""
    if lead.erased_at is not None or lead.status in CLOSED:
        return ""
    if lead.assignee_id is None:
        return _("This lead is unassigned. Take it, or assign it to someone.")
    if lead.stale_at is not None:
        return _("Nobody has worked on this lead for a long time. Get in touch, or mark it as lost.")
    if lead.status == LeadStatus.NEW:
        return _("Nobody has been in touch yet. Call or write, then set the status to “contacted”.")
    return ""


def steps_of(lead: Lead) -> list[Step]:
    """What is on its way for the lead, the soonest first."""
    live = jobs_about(lead).filter(state__in=_LIVE).only("task", "state", "ready_at", "attempts")[:JOBS]
    jobs = sorted(live, key=lambda job: job.ready_at)
    steps = [
        Step(step.text, job.ready_at if job.shown_state() == "scheduled" else None)
        for job in jobs
        if (step := registry.steps.get(job.task)) and step.holds(lead)
    ]
    return list(dict.fromkeys(steps))


def consents_of(lead: Lead) -> list[dict[str, Any]]:
    """What the lead agreed to, each as yes or no with its time."""
    if lead.unsubscribed_at is not None:
        return [{"label": pgettext("lead", "Unsubscribed: gets no mail"), "given": False, "at": lead.unsubscribed_at}]
    return [
        {
            "label": _("May be written to about the request"),
            "given": lead.request_consent_at is not None,
            "at": lead.request_consent_at,
        },
        {
            "label": _("May be sent news and offers"),
            "given": lead.marketing_consent_at is not None,
            "at": lead.marketing_consent_at,
        },
    ]


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
