"""Organisations, their members and their API keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..models import ApiKey, Membership
from ..services import add_member, create_api_key, replace_webhook_secret
from .scope import ScopedAdmin, signed_in
from .shown_once import shown_once


class OrganizationAdmin(ScopedAdmin):
    """Organisations."""

    organization_path = "pk"
    page_key = ("name", "pk")
    newest_first = False
    list_display = ("name", "slug", "language", "crm_webhook_url", "created_at")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    exclude = ("crm_webhook_secret",)
    readonly_fields = ("created_at",)
    change_form_template = "admin/leads/organization/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        """The address of a new webhook secret, beside Django's own."""
        view = self.admin_site.admin_view(self.replace_secret)
        return [path("<uuid:pk>/secret/", view, name="leads_organization_secret"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the button, for whoever may use it."""
        context = {"may_replace_secret": self.has_change_permission(request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def replace_secret(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Ask, and then show the organization's new webhook secret, this one time."""
        organization = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, organization):
            raise PermissionDenied
        title = _("New webhook secret")
        if request.method == "POST":
            self.log_change(request, organization, _("Webhook secret replaced."))
            return shown_once(self, request, organization, title, replace_webhook_secret(organization))
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "object": organization,
            "opts": self.opts,
            "back": reverse(f"{self.admin_site.name}:leads_organization_change", args=[pk]),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/leads/organization/secret.html", context)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Whose name the site's mail provider lets it write in is known to who runs the site."""
        return ("created_at",) if signed_in(request).is_superuser else ("mail_from", "created_at")


class MembershipAdmin(ScopedAdmin):
    """Members; a new one is announced."""

    list_display = ("user", "organization", "role", "language", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "organization")
    search_fields = ("user__username", "user__email")
    autocomplete_fields = ("user",)
    readonly_fields = ("created_at",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Who belongs where is decided when the membership is made."""
        return ("user", "organization", "created_at") if obj else ("created_at",)

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        """A new member goes through the service, which announces it."""
        if change:
            super().save_model(request, obj, form, change)
            return
        made: Membership = add_member(obj.organization, obj.user, role=obj.role, language=obj.language)
        obj.pk, obj._state.adding = made.pk, False


class ApiKeyAdmin(ScopedAdmin):
    """API keys: shown once, revoked, never edited."""

    list_display = ("name", "organization", "prefix", "created_at", "last_used_at", "revoked_at")
    list_select_related = ("organization",)
    fields = ("organization", "name", "prefix", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Only name and organisation of a new key are given."""
        shown = ("prefix", "created_at", "last_used_at", "revoked_at")
        return ("organization", *shown) if obj else shown

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        """A new key is made by the service; its secret waits for `response_add`, and nowhere else."""
        if change:
            super().save_model(request, obj, form, change)
            return
        made, obj.secret = create_api_key(obj.organization, obj.name)
        obj.__dict__.update({name: value for name, value in made.__dict__.items() if name != "_state"})
        obj._state.adding = False

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new key this one time."""
        return shown_once(self, request, obj, _("The new API key"), obj.secret)

    @admin.action(description=gettext_lazy("Revoke the selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """The keys are refused from now on."""
        count = queryset.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
        for key in queryset:
            self.log_change(request, key, _("Revoked."))
        messages.success(request, ngettext("%d key was revoked.", "%d keys were revoked.", count) % count)
