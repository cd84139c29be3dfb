"""What came in, and what went to the CRM."""

from __future__ import annotations

import contextlib
from urllib.parse import parse_qsl

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.admin.scope import ReadOnlyScopedAdmin, signed_in
from jobs import Refused, State, cancel, jobs_about

from ..models import OPEN, Channel, Submission, SubmissionState
from ..services import process_submission
from .effects import EffectAdmin
from .marks import CONSENT, SUBMISSION


class Unprocessed(admin.SimpleListFilter):
    """What waits for a person."""

    title = gettext_lazy("work")
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """What is left to do, and what nobody has looked at."""
        return [("open", _("not processed")), ("trapped", _("suspected spam"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Submission]) -> QuerySet[Submission]:
        """Received but never finished, or failed."""
        if self.value() == "open":
            return queryset.filter(state__in=OPEN)
        if self.value() == "trapped":
            return queryset.filter(state=SubmissionState.TRAPPED)
        return queryset


class SubmissionAdmin(ReadOnlyScopedAdmin):
    """Submissions as they arrived. What was not processed can be processed again."""

    in_order_by_organization = True
    list_display = ("received_at", "organization", "channel", "state", "lead", "problem_shown")
    list_filter = (Unprocessed, "state", "channel")
    marks = {"state": SUBMISSION}
    empty_text = gettext_lazy(
        "Every message that arrives through an organization’s form or its API stands here, as it arrived."
    )
    list_select_related = ("organization", "lead")
    page_key = ("received_at", "pk")
    search_ids = ("id", "lead")
    search_help_text = gettext_lazy("The id of a submission or of a lead.")
    fields = (
        "organization",
        "channel",
        "state",
        "lead",
        "received_at",
        "processed_at",
        "body_shown",
        "errors",
        "problem",
        "api_key",
        "idempotency_key",
        "answer_status",
        "answer",
    )
    readonly_fields = ("body_shown",)
    special_permissions = {"process": "leads.process_submission"}
    actions = ("process_again", "process_as_genuine")

    @admin.display(description=gettext_lazy("Problem"))
    def problem_shown(self, submission: Submission) -> str:
        """What went wrong, in short."""
        return submission.problem[:100] or ", ".join(name or _("body") for name in submission.errors)

    @admin.display(description=gettext_lazy("Body"))
    def body_shown(self, submission: Submission) -> str:
        """What arrived: a form field by field, anything else as it is."""
        if submission.channel != Channel.FORM:
            return submission.body
        fields = parse_qsl(submission.body, keep_blank_values=True)
        return format_html_join("", "{}: {}<br>", fields)

    def has_process_permission(self, request: HttpRequest) -> bool:
        """To process again is a permission of its own."""
        return self.may(request, "process")

    @admin.action(description=gettext_lazy("Process the selected submissions again"), permissions=["process"])
    def process_again(self, request: HttpRequest, queryset: QuerySet[Submission]) -> None:
        """Each that is not processed is tried once more."""
        ended = [SubmissionState.PROCESSED, SubmissionState.TRAPPED]
        self._process(request, queryset.exclude(state__in=ended), genuine=False)

    @admin.action(description=gettext_lazy("Process the selected suspected spam as genuine"), permissions=["process"])
    def process_as_genuine(self, request: HttpRequest, queryset: QuerySet[Submission]) -> None:
        """What the trap has caught, and a person takes for real, is processed like any other."""
        self._process(request, queryset.filter(state=SubmissionState.TRAPPED), genuine=True)

    def _process(self, request: HttpRequest, rows: QuerySet[Submission], *, genuine: bool) -> None:
        done = left = 0
        for submission in rows.order_by("received_at"):
            result = process_submission(submission.id, genuine=genuine)
            done += result.state == SubmissionState.PROCESSED
            left += result.state != SubmissionState.PROCESSED
            _discard_dead_letter(result, signed_in(request))
            self.log_change(request, result, _("Processed again: %s.") % result.get_state_display())
        if done:
            text = ngettext("%d submission was processed.", "%d submissions were processed.", done)
            messages.success(request, text % done)
        if left:
            text = ngettext("%d submission could not be processed.", "%d submissions could not be processed.", left)
            messages.error(request, text % left)


def _discard_dead_letter(submission: Submission, by: AbstractBaseUser) -> None:
    """What is done needs no job any more; a dead letter would go on asking for a person."""
    if submission.state in OPEN:
        return
    for job in jobs_about(submission).filter(state=State.FAILED):
        with contextlib.suppress(Refused):  # somebody was faster
            cancel(job, by=by)


class CrmDeliveryAdmin(EffectAdmin):
    """What was, or is to be, brought to the CRM."""

    in_order_by_organization = True
    list_display = ("created_at", "organization", "lead", "lead_version", "state", "target", "response_status", "tries")
    list_filter = (("state", admin.ChoicesFieldListFilter),)
    empty_text = gettext_lazy(
        "Each change of a lead that is brought to a CRM stands here, once the organization has a CRM webhook."
    )
    list_select_related = ("organization", "lead")
    search_ids = ("id", "lead")
    search_help_text = gettext_lazy("The id of a delivery or of a lead.")
    fields = (
        "organization",
        "lead",
        "lead_version",
        "state",
        "custom_fields",
        "payload",
        "target",
        "response_status",
        "response_body",
        "error",
        "tries",
        "claimed_by",
        "claimed_at",
        "created_at",
        "sent_at",
    )


class ConsentRecordAdmin(ReadOnlyScopedAdmin):
    """The consent log: what leads agreed to and withdrew, with what stood before and after."""

    in_order_by_organization = True
    page_key = ("at", "pk")
    list_display = ("at", "organization", "lead", "purpose", "act", "source", "actor")
    list_filter = ("purpose", "act", "source")
    marks = {"act": CONSENT}
    empty_text = gettext_lazy("What a lead agrees to, or withdraws, is recorded here by itself.")
    list_select_related = ("organization", "lead", "actor")
    search_ids = ("id", "lead")
    search_help_text = gettext_lazy("The id of a consent or of a lead.")
    fields = (
        *("organization", "lead", "purpose", "act", "source", "wording", "wording_version"),
        *("old", "new", "old_unsubscribed", "new_unsubscribed", "actor", "at"),
    )
