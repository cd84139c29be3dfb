"""Mails and campaigns for staff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.admin.scope import ReadOnlyScopedAdmin, ScopedAdmin, signed_in
from admin_lists.counts import Capped, SubqueryCount, capped_count
from leads.admin.effects import EffectAdmin
from leads.admin.marks import EFFECT
from leads.models import EffectState

from . import services, suppression
from .audience import Audience
from .forms import CampaignForm
from .marks import CAMPAIGN, DELIVERY
from .models import Campaign, EmailMessage, Suppression

#: A mail's HTML is shown as its reader's program would: nothing in it runs, and nothing is loaded.
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
#: Each campaign's mails are counted up to this number, in the list and on its page.
COUNTED, COUNTED_ON_PAGE = 1_000, 100_000


@admin.register(EmailMessage)
class EmailMessageAdmin(EffectAdmin):
    """Every mail, readable."""

    in_order_by_organization = True
    list_display = ("created_at", "kind", "to", "subject", "state", "delivery", "tries", "sent_at")
    list_filter = ("kind", "state")
    marks = {"state": EFFECT, "delivery": DELIVERY}
    empty_text = gettext_lazy("Every mail that is to be sent stands here, with its text and what became of it.")
    search_ids = ("id", "lead")
    search_exact = ("to",)
    search_help_text = gettext_lazy("The id of a mail or a lead, or a whole address.")
    fields = (
        "kind",
        "organization",
        "lead",
        "campaign",
        "to",
        "language",
        "state",
        "error",
        "tries",
        "job",
        "created_at",
        "sent_at",
        "emptied_at",
        "provider",
        "receipt",
        "delivery",
        "delivery_at",
        "delivery_detail",
        "subject",
        "text",
        "html_page",
    )
    special_permissions = {"resend": "emails.resend_emailmessage"}
    actions = ("send_again",)
    change_form_template = "admin/emails/emailmessage/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        """The address of a mail's HTML."""
        view = self.admin_site.admin_view(self.show_html)
        return [path("<uuid:message_id>/html/", view, name="emails_emailmessage_html"), *super().get_urls()]

    @admin.display(description=gettext_lazy("Job"))
    def job(self, message: EmailMessage) -> str:
        """A link to the newest job that is to send the mail; retention may have removed it."""
        if message.job_id is None:
            return "–"
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:jobs_job_change", args=[message.job_id]), message.job_id
        )

    @admin.display(description="HTML")
    def html_page(self, message: EmailMessage) -> str:
        """A link to the mail as its reader sees it."""
        if not message.html:
            return "–"
        address = reverse("admin:emails_emailmessage_html", args=[message.pk])
        return format_html('<a href="{}">{}</a>', address, _("Show as the reader sees it"))

    def show_html(self, request: HttpRequest, message_id: UUID) -> HttpResponse:
        """The mail's HTML, in a sandbox."""
        message = self.get_queryset(request).filter(pk=message_id).first()
        if message is None:
            raise Http404
        if not self.has_view_permission(request, message):
            raise PermissionDenied
        return HttpResponse(message.html, headers={"Content-Security-Policy": SANDBOX})

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """To send again is a permission of its own."""
        return self.may(request, "resend")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The mail, with a button where it can be sent again."""
        message = self.get_object(request, object_id)
        offered = message is not None and message.can_be_repeated and self.may(request, "resend", message)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "can_send_again": offered})

    @admin.action(description=gettext_lazy("Send the selected mails again"), permissions=["resend"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[EmailMessage]) -> HttpResponse | None:
        """Ask first, since what is unclear may arrive twice; then send what did not go out; the rest is left alone."""
        mails = [mail for mail in queryset if mail.can_be_repeated]
        if mails and "confirmed" not in request.POST:
            return self._ask(request, mails)
        count = 0
        for message in mails:
            if services.resend(message) is not None:
                count += 1
                self.log_change(request, message, _("Sent again."))
        text = ngettext("%d mail is being sent again.", "%d mails are being sent again.", count)
        self.message_user(request, text % count, messages.SUCCESS if count else messages.WARNING)
        return None

    def _ask(self, request: HttpRequest, mails: list[EmailMessage]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Send again?"),
            "opts": self.opts,
            "mails": mails,
            "unclear": sum(mail.perhaps_sent for mail in mails),
        }
        return TemplateResponse(request, "admin/emails/emailmessage/send_again.html", context)


@admin.register(Campaign)
class CampaignAdmin(ScopedAdmin):
    """Campaigns: written as drafts, then sent once."""

    form = CampaignForm
    list_display = ("name", "organization", "state", "counts", "created_at", "started_at", "ended_at")
    list_select_related = ("organization",)
    fields = (
        *("organization", "name", "subject", "text", "language", "statuses", "sources", "bands"),
        *("state", "whom", "outcomes", "created_at", "starts_at", "started_at", "ended_at"),
    )
    readonly_fields = ("state", "whom", "outcomes", "created_at", "starts_at", "started_at", "ended_at")
    marks = {"state": CAMPAIGN}
    empty_text = gettext_lazy(
        "A campaign is one mail to all leads who agreed to news and offers. Write one as a draft, look at it, "
        "then send it."
    )
    special_permissions = {"send": "emails.send_campaign"}
    actions = ("send", "pause", "resume", "cancel")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """A campaign stays in its organization."""
        return ("organization", *self.readonly_fields) if obj else self.readonly_fields

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Whom it is for is asked for a draft, and told of what has begun."""
        asks = obj is None or self.has_change_permission(request, obj)
        left_out = {"whom"} if asks else {"statuses", "sources", "bands"}
        return [name for name in super().get_fields(request, obj) if name not in left_out]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the number of mails in each state."""
        mails: QuerySet[Any] = EmailMessage.objects.filter(campaign=OuterRef("pk")).order_by()
        # a column of the index
        counts = {
            f"in_{state}": SubqueryCount(mails.filter(state=state).values("campaign")[: COUNTED + 1])
            for state in EffectState
        }
        rows: QuerySet[Any] = super().get_queryset(request).annotate(**counts)
        return rows

    @admin.display(description=gettext_lazy("Mails"))
    def counts(self, campaign: Any) -> str:
        """How many mails ended how, counting each up to `COUNTED`."""
        numbers = {state: getattr(campaign, f"in_{state}") for state in EffectState}
        return _listed({state: Capped(min(n, COUNTED), more=n > COUNTED) for state, n in numbers.items() if n})

    @admin.display(description=gettext_lazy("Who gets it"))
    def whom(self, campaign: Campaign) -> str:
        """Which leads it is for."""
        return " · ".join(Audience.of(campaign.audience).in_words())

    @admin.display(description=gettext_lazy("Mails"))
    def outcomes(self, campaign: Campaign) -> str:
        """How many mails ended how, on the campaign's own page."""
        mails = EmailMessage.objects.filter(campaign=campaign.pk)
        counts = {state: capped_count(mails.filter(state=state), COUNTED_ON_PAGE) for state in EffectState}
        return _listed({state: count for state, count in counts.items() if count.number})

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """What has begun to be sent is not changed any more."""
        begun = isinstance(obj, Campaign) and obj.state != Campaign.State.DRAFT
        return not begun and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        """Nothing is written over what has begun since the form was opened."""
        if not change:
            super().save_model(request, obj, form, change)
        elif not services.edit_campaign(obj):
            raise PermissionDenied

    def has_send_permission(self, request: HttpRequest) -> bool:
        """To send is a permission of its own."""
        return self.may(request, "send")

    @admin.action(description=gettext_lazy("Send the selected campaigns"), permissions=["send"])
    def send(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        """Begin with those that are drafts."""
        count = self._each(request, queryset, services.send_campaign, _("Sending began."))
        text = ngettext("%d campaign is being sent.", "%d campaigns are being sent.", count)
        messages.success(request, text % count)

    @admin.action(description=gettext_lazy("Pause the selected campaigns"), permissions=["send"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        """Let none of their mails leave until they are resumed."""
        count = self._each(request, queryset, services.pause_campaign, _("Paused."))
        messages.success(request, ngettext("%d campaign is paused.", "%d campaigns are paused.", count) % count)

    @admin.action(description=gettext_lazy("Resume the selected campaigns"), permissions=["send"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        """Let the mails of those that are paused leave again."""
        count = self._each(request, queryset, services.resume_campaign, _("Resumed."))
        messages.success(request, ngettext("%d campaign goes on.", "%d campaigns go on.", count) % count)

    @admin.action(description=gettext_lazy("Cancel the selected campaigns"), permissions=["send"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        """Ask first, since it cannot be undone; then never send the rest."""
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": _("Cancel these campaigns?"),
                "opts": self.opts,
                "campaigns": list(queryset),
            }
            return TemplateResponse(request, "admin/emails/campaign/cancel.html", context)
        count = self._each(request, queryset, services.cancel_campaign, _("Cancelled."))
        messages.success(request, ngettext("%d campaign is cancelled.", "%d campaigns are cancelled.", count) % count)
        return None

    def _each(
        self, request: HttpRequest, rows: QuerySet[Campaign], service: Callable[[UUID], object], done: str
    ) -> int:
        """Do it to each that it can be done to, and note it; returns how many."""
        count = 0
        for campaign in rows:
            if service(campaign.id):
                count += 1
                self.log_change(request, campaign, done)
        return count


@admin.register(Suppression)
class SuppressionAdmin(ReadOnlyScopedAdmin):
    """Addresses that get no mail any more; who may lifts that, and the row tells of it."""

    in_order_by_organization = True
    list_display = ("created_at", "organization", "address", "reason", "provider", "lifted_at", "lifted_by")
    list_select_related = ("organization", "message", "lifted_by")
    search_exact = ("address_hash",)
    search_help_text = gettext_lazy("A whole e-mail address.")
    fields = (
        *("organization", "address", "address_hash", "reason", "message"),
        *("provider", "created_at", "lifted_at", "lifted_by"),
    )
    readonly_fields = ("address",)
    empty_text = gettext_lazy(
        "An address appears here when a mail to it bounces or is reported as spam; no more mail goes there."
    )
    special_permissions = {"lift": "emails.lift_suppression"}
    actions = ("allow_again",)

    @admin.display(description=gettext_lazy("Address"))
    def address(self, row: Suppression) -> str:
        """As the mail has it that it was reported of; unknown once that is erased."""
        return (row.message.to if row.message else "") or "–"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Only the hash is kept: a whole address is found by its own."""
        text = search_term.strip()
        return (suppression.of_address(queryset, text) if text else queryset), False

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """To allow mail again is a permission of its own."""
        return self.may(request, "lift")

    @admin.action(description=gettext_lazy("Allow mail to the selected addresses again"), permissions=["lift"])
    def allow_again(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        """Lift each that is not lifted yet."""
        count = 0
        for row in queryset:
            if suppression.lift(row, signed_in(request)):
                count += 1
                self.log_change(request, row, _("Mail allowed again."))
        text = ngettext("%d address can get mail again.", "%d addresses can get mail again.", count)
        messages.success(request, text % count)


def _listed(numbers: dict[EffectState, Capped]) -> str:
    return " · ".join(f"{state.label}: {number}" for state, number in numbers.items()) or "–"
