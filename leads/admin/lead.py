"""A lead's page: what is known, its jobs, its timeline, and what can be done with it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import sight
from accounts.admin.scope import ScopedAdmin, signed_in
from jobs import jobs_about

from .. import services
from ..acting import act, action_for, actions_for, form_of, still_there
from ..forms import LeadFieldsForm
from ..models import Lead
from ..pages.describing import lead_details
from ..panels import registry
from ..timeline import timeline
from .marks import STATUS

JOBS_SHOWN = 50


class LeadAdminForm(LeadFieldsForm):
    """All that staff may write."""

    class Meta:
        model = Lead
        exclude = ()


class Stale(admin.SimpleListFilter):
    """Leads that nobody has touched for long."""

    title = gettext_lazy("untouched for a long time")
    parameter_name = "stale"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """Those that were marked."""
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Lead]) -> QuerySet[Lead]:
        """See `leads.stale`."""
        return queryset.filter(stale_at__isnull=False) if self.value() == "yes" else queryset


class LeadAdmin(ScopedAdmin):
    """Leads. Status and assignee change by their own actions, which announce it."""

    in_order_by_organization = True
    form = LeadAdminForm
    change_form_template = "admin/leads/lead/change_form.html"
    list_display = ("name", "organization", "email", "company", "status", "score", "assignee", "source", "created_at")
    list_filter = ("status", "source", Stale)
    marks = {"status": STATUS}
    empty_text = gettext_lazy(
        "Whoever writes through an organization’s form or its API becomes a lead here. You can also add one by hand."
    )
    list_select_related = ("organization", "assignee")
    search_ids = ("id",)
    search_beginnings = ("email_key", "name_key")
    search_help_text = gettext_lazy("An id, or how the e-mail address or the name begins.")
    readonly_shown = (
        *("status", "assignee", "score", "request_consent_at", "marketing_consent_at", "unsubscribed_at"),
        *("touched_at", "stale_at", "last_activity_at", "created_at", "updated_at", "erased_at"),
    )
    fieldsets = (
        (None, {"fields": ("organization", "name", "email", "phone", "company", "job_title", "message")}),
        (gettext_lazy("Work"), {"fields": ("status", "assignee", "score", "source", ("value", "currency"))}),
        (
            gettext_lazy("Consent and origin"),
            {
                "classes": ("collapse",),
                "fields": (
                    ("request_consent_at", "marketing_consent_at", "unsubscribed_at"),
                    ("utm_source", "utm_medium", "utm_campaign"),
                    ("utm_term", "utm_content"),
                    ("time_zone", "locale"),
                    ("created_at", "updated_at", "last_activity_at"),
                    ("touched_at", "stale_at"),
                    "erased_at",
                ),
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """A lead stays in its organisation."""
        return ("organization", *self.readonly_shown) if obj else self.readonly_shown

    def get_urls(self) -> list[URLPattern]:
        """The actions' addresses."""
        view = self.admin_site.admin_view(self.act)
        return [path("<uuid:lead_id>/do/<slug:name>/", view, name="leads_lead_do"), *super().get_urls()]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is written into an erased lead any more."""
        erased = isinstance(obj, Lead) and obj.erased_at is not None
        return not erased and super().has_change_permission(request, obj)

    def hindrance_to_deletion(self, rows: QuerySet[Lead]) -> str:
        """A lead that is deleted can no longer be erased: jobs, logs and what it sent would keep its data."""
        if rows.filter(erased_at__isnull=True).exists():
            return _("leads whose personal data has not been erased; erase it first")
        return ""

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm[Any], change: bool) -> None:
        """Through the services, which write the timeline and announce."""
        if change:
            with still_there():
                services.update_lead(obj, form.changed_data, actor=signed_in(request))
        else:
            services.add_lead(obj, actor=signed_in(request))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page with jobs, timeline, panels and actions."""
        lead = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if lead is not None and self.has_view_permission(request, lead):
            person, of = signed_in(request), lead.organization_id
            context |= {
                "lead": lead,
                "lead_actions": actions_for(lead, person).values(),
                "jobs": jobs_about(lead)[:JOBS_SHOWN] if sight.may(person, "jobs.view_job", of) else None,
                "timeline": timeline(lead),
                "panels": [
                    {"title": panel.title, "template": panel.template, "context": panel.context(lead)}
                    for panel in registry.panels
                ],
                **lead_details(lead),
            }
        return super().change_view(request, object_id, form_url, context)

    def act(self, request: HttpRequest, lead_id: UUID, name: str) -> HttpResponse:
        """Ask what the action needs to know; do it on POST."""
        lead = self.get_queryset(request).select_related("organization").filter(pk=lead_id).first()
        if lead is None:
            raise Http404
        action = action_for(lead, signed_in(request), name)
        if not self.has_view_permission(request, lead):
            raise PermissionDenied
        form = form_of(action, lead)(request.POST if request.method == "POST" else None)
        if request.method == "POST" and (done := act(action, lead, signed_in(request), form)):
            messages.success(request, done)
            return HttpResponseRedirect(reverse("admin:leads_lead_change", args=[lead.pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "lead": lead,
            "action": action,
            "form": form,
            "title": action.label,
        }
        return TemplateResponse(request, "admin/leads/lead/act.html", context)
