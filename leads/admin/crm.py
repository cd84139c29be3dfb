"""Where an organization's leads are delivered, and what the deliveries are signed with."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, Model, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import sight
from accounts.admin.scope import ScopedAdmin, signed_in
from accounts.admin.shown_once import shown_once
from accounts.models import Organization

from ..services import replace_webhook_secret


class CrmWebhookAdmin(ScopedAdmin):
    """CRM webhooks; a secret is shown once, when it is new."""

    list_display = ("organization", "url")
    list_select_related = ("organization",)
    fields = ("organization", "url", "created_at")
    empty_text = gettext_lazy(
        "The address of your CRM. Add one, and each lead is delivered there, signed, whenever it changes."
    )
    change_form_template = "admin/leads/crmwebhook/change_form.html"

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """A webhook stays with its organization."""
        return ("organization", "created_at") if obj else ("created_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """As long as an organization has none: the first delivery makes one, too."""
        return super().has_add_permission(request) and self._without_one(request).exists()

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """Organizations that have none yet."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and db_field.name == "organization":
            field.queryset = self._without_one(request)
        return field

    def get_urls(self) -> list[URLPattern]:
        """The address of a new secret, beside Django's own."""
        view = self.admin_site.admin_view(self.replace_secret)
        return [path("<uuid:pk>/secret/", view, name="leads_crmwebhook_secret"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the button, for whoever may use it."""
        webhook = self.get_object(request, object_id)
        may = webhook is not None and self.has_change_permission(request, webhook)
        return super().change_view(request, object_id, form_url, {"may_replace_secret": may, **(extra_context or {})})

    def replace_secret(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Ask, and then show the new secret, this one time."""
        webhook = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, webhook):
            raise PermissionDenied
        title = _("New webhook secret")
        if request.method == "POST":
            self.log_change(request, webhook, _("Webhook secret replaced."))
            return shown_once(self, request, webhook, title, replace_webhook_secret(webhook))
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "object": webhook,
            "opts": self.opts,
            "back": reverse(f"{self.admin_site.name}:leads_crmwebhook_change", args=[pk]),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/leads/crmwebhook/secret.html", context)

    def _without_one(self, request: HttpRequest) -> QuerySet[Organization]:
        rows = sight.organizations(signed_in(request), "leads.add_crmwebhook")
        return rows.filter(crm_webhook__isnull=True)
