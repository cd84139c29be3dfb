"""What the lead queue's jobs do. Plain functions: a row that is gone is a quiet end, a second run changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from jobs import RetryLater, Subject, erase_jobs, provider_call

from . import scoring
from .changes import record
from .consent import has_agreed
from .content import message_of
from .crm import crm_of, pause, webhook_of
from .enrichment import ENRICHMENT, LOCAL, EnrichmentProvider, Finding, Question, enrichment_provider
from .erasing import erase_marked
from .events import LeadEnriched, LeadScored, lead_enriched, lead_scored
from .models import Activity, ConsentPurpose, CrmDelivery, EffectState, Lead, Submission, hash_of_fields
from .models.effect import LATER_VERSION
from .outgoing import TooSlow

Outcome = dict[str, Any]
GONE: Outcome = {"outcome": "the lead is gone"}
#: Fields of the lead that enrichment fills when the lead left them empty.
_FILLED = ("company",)
#: What `calculate_score` sets.
SCORE_FIELDS = ("score", "score_reasons", "score_falls_at")
#: So many of a lead's last messages count in its score.
MOST_CONTACTS = 50
#: Seconds until it is looked again whether the jobs of an erased lead have ended.
STILL_RUNNING_WAIT = 15.0


def process_submission(submission_id: UUID) -> Outcome:
    """Make a lead of a submission that is still open; raises what goes wrong, so that the queue tries again."""
    from .services import intake  # it enqueues the job that this is

    return {"outcome": intake.process_open_submission(submission_id)}


def enrich_lead(lead_id: UUID, organization_id: UUID) -> Outcome:
    """Ask the provider about the lead, keep what it found, announce it."""
    lead = Lead.present.filter(pk=lead_id, organization_id=organization_id).first()
    if lead is None:
        return GONE
    provider = enrichment_provider()
    findings = _look_up(provider, Question(email=lead.email, phone=lead.phone, company=lead.company))
    with transaction.atomic():
        lead = Lead.present.select_for_update().filter(pk=lead_id, organization_id=organization_id).first()
        if lead is None:
            return GONE
        changed = _keep(lead, findings, provider.name)
        if not changed:
            return {"outcome": "nothing new"}
        lead.version += 1
        lead.save(update_fields=["enrichment", *_FILLED, "version", "updated_at"])
        record(lead, Activity.Kind.ENRICHED, {"fields": changed})
        lead_enriched.announce(LeadEnriched(organization_id=organization_id, lead_id=lead_id))
    return {"outcome": "enriched", "fields": changed}


def score_lead(lead_id: UUID, organization_id: UUID) -> Outcome:
    """Calculate the score from what is known now; announce it unless this version was scored already."""
    with transaction.atomic():
        lead = Lead.present.select_for_update().filter(pk=lead_id, organization_id=organization_id).first()
        if lead is None:
            return GONE
        if lead.score_version == lead.version:
            return {"outcome": "scored already", "score": lead.score}
        old, new = lead.score, calculate_score(lead, timezone.now())
        lead.version += 1
        lead.score_version = lead.version
        lead.save(update_fields=[*SCORE_FIELDS, "version", "score_version", "updated_at"])
        if old != new:
            record(lead, Activity.Kind.SCORED, {"old": old, "new": new})
        lead_scored.announce(LeadScored(organization_id=organization_id, lead_id=lead_id, old=old, new=new))
    return {"outcome": "scored", "score": new}


def calculate_score(lead: Lead, now: datetime) -> int:
    """Set the lead's `SCORE_FIELDS` to what follows from what is known at `now`; returns the score. Not saved yet."""
    contacts = Submission.objects.filter(lead=lead).order_by("-received_at").values_list("received_at", flat=True)
    return _set_score(lead, contacts[:MOST_CONTACTS], now)


def calculate_scores(leads: Sequence[Lead], now: datetime, *, contacted: bool = True) -> None:
    """`calculate_score` of many leads with one query; `contacted`: without it they are new, and wrote to us never."""
    contacts: dict[UUID | None, list[datetime]] = {lead.pk: [] for lead in leads}
    if contacted and leads:
        rows = Submission.objects.filter(lead__in=leads).order_by("-received_at").values_list("lead_id", "received_at")
        for lead_id, received_at in rows:
            contacts[lead_id].append(received_at)
    for lead in leads:
        _set_score(lead, contacts[lead.pk][:MOST_CONTACTS], now)


def _set_score(lead: Lead, contacts: Iterable[datetime], now: datetime) -> int:
    score = scoring.score(_facts(lead, contacts), now)
    lead.score, lead.score_falls_at = score.points, score.falls_at
    lead.score_reasons = [{"rule": reason.rule, "points": reason.points} for reason in score.reasons]
    return score.points


def deliver_to_crm(lead_id: UUID, organization_id: UUID, custom_fields: dict[str, Any] | None, job_id: UUID) -> Outcome:
    """Bring the lead, as it is now, to the CRM, if an intended delivery is still open."""
    lead = (
        Lead.present.select_related("organization", "assignee")
        .filter(pk=lead_id, organization_id=organization_id)
        .first()
    )
    if lead is None:
        return GONE
    intended = CrmDelivery.objects.filter(
        lead=lead, custom_fields_hash=hash_of_fields(custom_fields), lead_version__lte=lead.version
    ).order_by("-lead_version")
    newest = intended.first()
    if newest is None or newest.state in {EffectState.SENT, EffectState.RECORDED, EffectState.SKIPPED}:
        return {"outcome": "delivered already"}
    older = intended.filter(state__in=[EffectState.PENDING, EffectState.FAILED]).exclude(pk=newest.pk)
    older.update(state=EffectState.SKIPPED, error=LATER_VERSION % {"version": newest.lead_version})
    webhook = webhook_of(lead.organization)
    if wait := pause.seconds_to_wait(webhook):
        raise RetryLater(wait, reason="the CRM was too slow; it gets one try a minute")
    # the delivery's id is the webhook's id: the CRM recognises a repetition
    if not newest.claim(job_id, repeatable=True):
        return {"outcome": "another job delivers it"}
    payload = crm_payload(lead, newest)
    try:
        receipt = crm_of(webhook).deliver(newest.id, payload)
    except Exception as error:
        newest.settle(EffectState.FAILED, error=f"{type(error).__name__}: {error}", payload=payload)
        (pause.begin if isinstance(error, TooSlow) else pause.end)(webhook)
        raise
    pause.end(webhook)
    newest.settle(
        EffectState.RECORDED if receipt.recorded else EffectState.SENT,
        payload=payload,
        target=receipt.target,
        response_status=receipt.status,
        response_body=receipt.text,
    )
    return {
        "outcome": "recorded" if receipt.recorded else "delivered",
        "delivery": str(newest.id),
        "version": newest.lead_version,
    }


def finish_erasure(
    lead_id: UUID, running: list[UUID], later: Callable[[UUID, list[UUID]], object], *, spare: Sequence[str]
) -> Outcome:
    """Erase a marked lead, or what ran of a deleted one, once more.

    Asks to be started again while one of the jobs that it waits for runs.
    """
    if Lead.objects.filter(pk=lead_id, erased_at__isnull=False).exists():
        erased = erase_marked(lead_id, partial(later, lead_id), spare=spare, known=running)
    elif running:
        # deleted meanwhile: what still ran then is emptied all the same
        erased = erase_jobs([Subject(Lead._meta.label_lower, str(lead_id))], spare=spare, known=running)
    else:
        return GONE
    if running and erased.running:
        raise RetryLater(STILL_RUNNING_WAIT, reason=f"jobs that still run: {len(erased.running)}")
    return {"outcome": "erased", "jobs": erased.jobs}


def crm_payload(lead: Lead, delivery: CrmDelivery) -> dict[str, Any]:
    """What the CRM is told."""
    return {
        "type": "lead.changed",
        "timestamp": timezone.now().isoformat(),
        "data": {
            "id": str(lead.id),
            "version": lead.version,
            "organization": lead.organization.slug,
            "name": lead.name,
            "email": lead.email,
            "phone": lead.phone,
            "company": lead.company,
            "job_title": lead.job_title,
            "message": lead.message,
            "last_message": _last_message(lead),
            "status": lead.status,
            "source": lead.source,
            "value": None if lead.value is None else str(lead.value),
            "currency": lead.currency,
            "assignee": lead.assignee.email if lead.assignee else None,
            "score": lead.score,
            "consent": has_agreed(lead, ConsentPurpose.REQUEST),
            "marketing_consent": has_agreed(lead, ConsentPurpose.MARKETING),
            "unsubscribed": lead.unsubscribed_at is not None,
            "enrichment": {name: finding.get("value") for name, finding in lead.enrichment.items()},
            "utm": {
                "source": lead.utm_source,
                "medium": lead.utm_medium,
                "campaign": lead.utm_campaign,
                "term": lead.utm_term,
                "content": lead.utm_content,
            },
            "created_at": lead.created_at.isoformat(),
            "custom_fields": delivery.custom_fields,
        },
    }


def _look_up(provider: EnrichmentProvider, question: Question) -> list[Finding]:
    if provider.name == LOCAL:  # nothing leaves the house
        return provider.look_up(question)
    with provider_call(ENRICHMENT):
        return provider.look_up(question)


def _keep(lead: Lead, findings: list[Finding], provider: str) -> list[str]:
    changed = []
    at = timezone.now().isoformat(timespec="seconds")
    for finding in findings:
        known = lead.enrichment.get(finding.field)
        if known and known.get("value") == finding.value:
            continue
        if finding.field in _FILLED and getattr(lead, finding.field) in {"", (known or {}).get("value")}:
            setattr(lead, finding.field, finding.value)
        lead.enrichment[finding.field] = {
            "value": finding.value,
            "provider": provider,
            "origin": finding.origin,
            "at": at,
        }
        changed.append(finding.field)
    return changed


def _last_message(lead: Lead) -> str:
    """What the lead wrote last; `message` is what it wrote first."""
    submission = lead.submissions.only("content").order_by("-received_at").first()
    return message_of(submission) if submission else ""


def _facts(lead: Lead, contacts: Iterable[datetime]) -> scoring.Facts:
    return scoring.Facts(
        email=lead.email,
        phone=lead.phone,
        company=lead.company,
        job_title=lead.job_title,
        message=lead.message,
        status=lead.status,
        source=lead.source,
        value=None if lead.value is None else float(lead.value),
        unsubscribed=lead.unsubscribed_at is not None,
        enrichment={name: finding.get("value") for name, finding in lead.enrichment.items()},
        contacts=tuple(contacts),
    )
