"""What comes in from outside: stored raw first, in a transaction of its own, then made a lead of."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from math import ceil
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import QueryDict
from django.utils import timezone, translation

from accounts import limits
from accounts.models import ApiKey, Organization

from .. import tasks
from ..changes import record
from ..consent import FORM_WORDING_VERSION, FORM_WORDINGS, Agreement
from ..content import content_of
from ..events import LeadReturned, SubmissionReceived, lead_returned, submission_received
from ..models import OPEN, Activity, Channel, ConsentSource, LeadSource, Submission, SubmissionState
from ..readable import readable
from ..validation import CONSENT_FIELDS, ApiLeadForm, InvalidBody, LeadForm, field_errors, json_fields
from .leads import receive_lead

logger = logging.getLogger(__name__)

#: How long the answer to an idempotency key is kept.
ANSWERS_KEPT = timedelta(hours=24)
#: A submission that is still `received` after this time was broken off: the next request with its key takes it over.
BROKEN_OFF_AFTER = timedelta(seconds=60)
#: By then the request has processed its submission, or the job does.
NET_AFTER = timedelta(seconds=60)
WINDOW = timedelta(minutes=1)
LIMIT_PER_KEY = 120
#: People do not see this field of the form; programs fill it. No browser or password manager knows the name.
HONEYPOT = "second_subject"


class TooManySubmissions(Exception):
    """The key, or the sender, had its share of this minute; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"try again in {retry_after} s")


class Trapped(Exception):
    """The field that people cannot see was filled in."""


class IdempotencyConflict(Exception):
    """The idempotency key was used with another body."""


class StillRunning(Exception):
    """The first request with this idempotency key has no answer yet."""


def receive(
    organization: Organization,
    channel: Channel,
    body: str,
    *,
    api_key: ApiKey | None = None,
    idempotency_key: str | None = None,
    sender: str = "",
    locale: str = "",
) -> Submission:
    """Store a body and process it. The submission that comes back holds the answer; a failure is no exception.

    Raises `TooManySubmissions`, `IdempotencyConflict`, `StillRunning`.
    """
    submission, fresh = store_submission(
        organization,
        channel,
        body,
        api_key=api_key,
        idempotency_key=idempotency_key,
        sender=sender,
        locale=locale,
    )
    return process_submission(submission.id) if fresh else submission


def store_submission(
    organization: Organization,
    channel: Channel,
    body: str,
    *,
    api_key: ApiKey | None = None,
    idempotency_key: str | None = None,
    sender: str = "",
    locale: str = "",
) -> tuple[Submission, bool]:
    """Store a body as it arrived, with the job that processes it if nobody else does.

    False beside it: the key and the body are known, and this is the first answer.
    """
    now = timezone.now()
    digest = hashlib.sha256(body.encode()).hexdigest()
    with transaction.atomic(durable=True):
        if api_key is not None:
            # one at a time a key: two requests with the same idempotency key must not both be the first
            ApiKey.objects.select_for_update().get(pk=api_key.pk)
            if idempotency_key:
                first = _first_with_key(api_key, idempotency_key, digest)
                if first is not None:
                    return first
            _note_use(api_key)
        if api_key is not None:
            _refuse_too_many_with(api_key)
        else:
            _refuse_too_many_forms(organization, sender)
        submission = Submission.objects.create(
            organization=organization,
            channel=channel,
            body=body,
            locale=locale,
            api_key=api_key,
            idempotency_key=idempotency_key or None,
            body_hash=digest,
            started_at=now,
        )
        net = tasks.process_submission.using(delay=NET_AFTER, about=(Submission._meta.label_lower, str(submission.id)))
        net.enqueue(submission.id)
    return submission, True


def process_submission(submission_id: UUID, *, genuine: bool = False) -> Submission:
    """Make a lead of a stored submission, or add it to the lead it belongs to; one that is processed stays as it is.

    What goes wrong is written on the submission and logged; its job tries again, and staff can call this too. What the
    form's trap has caught stays caught unless a person says that it is `genuine`.
    """
    try:
        return _decide(submission_id, genuine=genuine)
    except Exception:
        logger.exception("submission_failed id=%s", submission_id)
        return Submission.objects.get(pk=submission_id)


def process_open_submission(submission_id: UUID) -> str:
    """`process_submission` for its job: nothing if somebody did it; raises what goes wrong. Returns the state then."""
    state = Submission.objects.filter(pk=submission_id).values_list("state", flat=True).first()
    return _decide(submission_id).state if state in OPEN else state or "gone"


def refuse_submission(submission_id: UUID, errors: dict[str, list[str]]) -> Submission:
    """Mark a submission invalid and keep the answer that says why."""
    errors = {readable(name): [readable(text) for text in texts] for name, texts in errors.items()}
    rows = Submission.objects.filter(pk=submission_id).exclude(state=SubmissionState.PROCESSED)
    rows.update(
        state=SubmissionState.INVALID,
        errors=errors,
        problem="",
        processed_at=timezone.now(),
        answer_status=400,
        answer={
            "error": {
                "code": "invalid",
                "message": "The lead is not valid; see the fields.",
                "fields": errors,
            },
            "submission_id": str(submission_id),
        },
    )
    return Submission.objects.get(pk=submission_id)


def _decide(submission_id: UUID, *, genuine: bool = False) -> Submission:
    """Make a lead of it, set it aside or refuse it; what goes wrong is noted on it and raised."""
    try:
        return _process(submission_id, genuine=genuine)
    except Trapped:
        return _set_aside(submission_id)
    except InvalidBody as error:
        return refuse_submission(submission_id, error.errors)
    except Exception as error:
        _note_failure(submission_id, error, genuine=genuine)
        raise


def _process(submission_id: UUID, *, genuine: bool = False) -> Submission:
    with transaction.atomic():
        # locked: the request, the job and staff find by the state whether there is anything left to do
        submission = (
            Submission.objects.select_for_update(of=("self",)).select_related("organization").get(pk=submission_id)
        )
        if submission.state == SubmissionState.PROCESSED:
            return submission
        if submission.state == SubmissionState.TRAPPED and not genuine:
            return submission
        fields, agreements = _valid_fields(submission, genuine=genuine)
        lead, created = receive_lead(submission.organization, fields, agreements=agreements)
        # without an actor, whoever had it processed: the lead wrote, and nobody of ours has touched it
        record(lead, Activity.Kind.SUBMISSION, {"submission": str(submission.id), "channel": submission.channel})
        submission.lead = lead
        submission.content = content_of(fields)
        submission.state = SubmissionState.PROCESSED
        submission.errors = {}
        submission.problem = ""
        submission.processed_at = timezone.now()
        submission.answer_status = 201 if created else 200
        submission.answer = {"id": str(lead.id), "submission_id": str(submission.id), "created": created}
        submission.save()
        if not created:
            lead_returned.announce(
                LeadReturned(organization_id=lead.organization_id, lead_id=lead.id, submission_id=submission.id)
            )
        submission_received.announce(
            SubmissionReceived(organization_id=submission.organization_id, submission_id=submission.id, lead_id=lead.id)
        )
    return submission


def _set_aside(submission_id: UUID) -> Submission:
    """Keep what the trap has caught for staff to look at; the sender is answered as if all were well."""
    rows = Submission.objects.filter(pk=submission_id, state__in=OPEN)
    rows.update(state=SubmissionState.TRAPPED, problem="", processed_at=timezone.now(), answer_status=202)
    return Submission.objects.get(pk=submission_id)


def _note_failure(submission_id: UUID, error: Exception, *, genuine: bool) -> None:
    """Note what went wrong; suspected spam stays so, since only a person may say that it is genuine."""
    problem = readable(f"{type(error).__name__}: {error}")[:2_000]
    rows = Submission.objects.filter(pk=submission_id)
    if genuine:
        rows.filter(state=SubmissionState.TRAPPED).update(problem=problem)
    rows.filter(state__in=[*OPEN, SubmissionState.INVALID]).update(
        state=SubmissionState.FAILED,
        problem=problem,
        answer_status=202,
        answer={"submission_id": str(submission_id), "status": SubmissionState.RECEIVED},
    )


def _valid_fields(submission: Submission, *, genuine: bool = False) -> tuple[dict[str, Any], list[Agreement]]:
    form: LeadForm
    if submission.channel == Channel.API:
        form = ApiLeadForm(json_fields(submission.body), organization=submission.organization)
    else:
        content = QueryDict(submission.body)
        if content.get(HONEYPOT) and not genuine:
            raise Trapped
        form = LeadForm(content, organization=submission.organization)
    if not form.is_valid():
        raise InvalidBody(field_errors(form))
    fields = dict(form.cleaned_data)
    agreements = _agreements(submission, fields)
    default_source = LeadSource.API if submission.channel == Channel.API else LeadSource.FORM
    fields["source"] = fields.get("source") or default_source
    fields["locale"] = fields.get("locale") or submission.locale
    return fields, agreements


def _agreements(submission: Submission, fields: dict[str, Any]) -> list[Agreement]:
    """What the submission says was agreed to; it is taken out of the fields."""
    by_form = submission.channel == Channel.FORM
    source = ConsentSource.FORM if by_form else ConsentSource.API
    told = str(fields.pop("consent_wording", ""))
    agreements = []
    for purpose, name in CONSENT_FIELDS.items():
        if not fields.pop(name):
            continue
        if by_form:
            # in the language in which the form was shown
            with translation.override(submission.locale or None):
                agreements.append(Agreement(purpose, source, str(FORM_WORDINGS[purpose]), FORM_WORDING_VERSION))
        else:
            agreements.append(Agreement(purpose, source, told))
    return agreements


def _first_with_key(api_key: ApiKey, idempotency_key: str, digest: str) -> tuple[Submission, bool] | None:
    now = timezone.now()
    known = Submission.objects.filter(api_key=api_key, idempotency_key=idempotency_key)
    known.filter(received_at__lt=now - ANSWERS_KEPT).update(idempotency_key=None)
    first = known.first()
    if first is None:
        return None
    if first.body_hash != digest:
        raise IdempotencyConflict
    if first.answer_status is not None:
        return first, False
    if not known.filter(started_at__lt=now - BROKEN_OFF_AFTER).update(started_at=now):
        raise StillRunning
    return first, True


def _refuse_too_many_with(api_key: ApiKey) -> None:
    since = timezone.now() - WINDOW
    recent = Submission.objects.filter(api_key=api_key, received_at__gt=since).order_by("received_at")
    times = list(recent.values_list("received_at", flat=True)[: LIMIT_PER_KEY + 1])
    if len(times) >= LIMIT_PER_KEY:
        raise TooManySubmissions(max(1, round((times[-LIMIT_PER_KEY] - since).total_seconds())))


def _refuse_too_many_forms(organization: Organization, sender: str) -> None:
    """A network's share over all forms first, so that one network cannot use up what an organisation takes."""
    network = limits.network_of(sender)
    wait = limits.take("network", network) if network else 0.0
    wait = wait or limits.take("form", str(organization.id))
    if wait:
        raise TooManySubmissions(ceil(wait))


def _note_use(api_key: ApiKey) -> None:
    now = timezone.now()
    if api_key.last_used_at is None or api_key.last_used_at < now - WINDOW:
        ApiKey.objects.filter(pk=api_key.pk).update(last_used_at=now)
