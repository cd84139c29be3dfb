"""A lead's timeline: every change, note, delivery, and what other apps add, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.core.exceptions import FieldDoesNotExist
from django.utils.translation import gettext as _

from accounts.models import User

from .content import label_of, message_of, news_of
from .labels import ENRICHMENT_FIELDS
from .models import Activity, CrmDelivery, Lead, LeadStatus, Note
from .panels import TimelineEntry, registry

LIMIT = 100


def timeline(lead: Lead) -> list[TimelineEntry]:
    """The newest lines of the lead's timeline."""
    entries = [*_activities(lead), *_notes(lead), *_deliveries(lead), *_consents(lead)]
    for source in registry.timelines:
        entries.extend(source(lead))
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:LIMIT]


def _activities(lead: Lead) -> Iterable[TimelineEntry]:
    rows = list(lead.activities.select_related("actor").order_by("-at")[:LIMIT])
    mentioned = {row.detail.get(side) for row in rows if row.kind == Activity.Kind.ASSIGNED for side in ("old", "new")}
    people = {str(user.pk): user.shown_name for user in User.objects.filter(pk__in=mentioned - {None})}
    written = _written(lead, rows)
    for row in rows:
        yield TimelineEntry(
            at=row.at,
            kind=str(row.get_kind_display()),
            text=written.get(row.pk) or _text(row, people),
            who=row.actor.shown_name if row.actor else "",
        )


def _written(lead: Lead, rows: Sequence[Activity]) -> dict[UUID, str]:
    """What the lead wrote, by the line that tells of it."""
    lines = {row.detail.get("submission"): row for row in rows if row.kind == Activity.Kind.SUBMISSION}
    texts = {}
    for submission in lead.submissions.filter(pk__in=[pk for pk in lines if pk]).only("content", "channel", "lead"):
        news = [f"{label}: {value}" for label, value in news_of(submission, lead)]
        texts[lines[str(submission.pk)].pk] = "\n".join(
            [str(submission.get_channel_display()), *filter(None, [message_of(submission)]), *news]
        )
    return texts


def _text(row: Activity, people: dict[str, str]) -> str:
    detail = row.detail
    if row.kind == Activity.Kind.ASSIGNED:
        nobody = _("nobody")
        return f"{people.get(detail.get('old'), nobody)} → {people.get(detail.get('new'), nobody)}"
    if row.kind == Activity.Kind.STATUS:
        labels = dict(LeadStatus.choices)
        return f"{labels.get(detail.get('old'), '?')} → {labels.get(detail.get('new'), '?')}"
    if row.kind in {Activity.Kind.SCORED, Activity.Kind.DECAYED}:
        return f"{'–' if detail.get('old') is None else detail['old']} → {detail.get('new')}"
    if row.kind == Activity.Kind.ENRICHED:
        return ", ".join(str(ENRICHMENT_FIELDS.get(name, name)) for name in detail.get("fields", []))
    if row.kind == Activity.Kind.CHANGED:
        return ", ".join(_label(name) for name in detail.get("fields", []))
    return str(detail.get("channel") or detail.get("source") or "")


def _label(name: str) -> str:
    """What a field is called; one that is no more, by its name."""
    try:
        return label_of(Lead, name)
    except FieldDoesNotExist:
        return name


def _notes(lead: Lead) -> Iterable[TimelineEntry]:
    for note in Note.objects.filter(lead=lead).select_related("author").order_by("-at")[:LIMIT]:
        yield TimelineEntry(
            at=note.at, kind=_("note"), text=note.text, who=note.author.shown_name if note.author else ""
        )


def _deliveries(lead: Lead) -> Iterable[TimelineEntry]:
    for row in CrmDelivery.objects.filter(lead=lead).order_by("-created_at")[:LIMIT]:
        text = f"{row.get_state_display()} · {_('version')} {row.lead_version}"
        detail = row.target or row.shown_error()
        yield TimelineEntry(at=row.sent_at or row.created_at, kind="CRM", text=f"{text} · {detail}" if detail else text)


def _consents(lead: Lead) -> Iterable[TimelineEntry]:
    for line in lead.consents.select_related("actor").order_by("-at")[:LIMIT]:
        parts = [f"{line.get_purpose_display()}: {line.get_act_display()}", line.get_source_display(), line.wording]
        who = line.actor.shown_name if line.actor else ""
        yield TimelineEntry(at=line.at, kind=_("consent"), text=" · ".join(filter(None, parts)), who=who)
