"""Organisations, their members and their API keys."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..models import ApiKey, Membership
from ..services import add_member, create_api_key
from .scope import ScopedAdmin, signed_in


class OrganizationAdmin(ScopedAdmin):
    """Organisations."""

    organization_path = "pk"
    page_key = ("name", "pk")
    newest_first = False
    list_display = ("name", "slug", "language", "crm_webhook_url", "created_at")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = ("created_at",)

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
        """Show the new key this one time."""
        if change:
            super().save_model(request, obj, form, change)
            return
        made, secret = create_api_key(obj.organization, obj.name)
        obj.__dict__.update({name: value for name, value in made.__dict__.items() if name != "_state"})
        obj._state.adding = False
        messages.warning(
            request, format_html("{} <code>{}</code>", _("The key, shown only this once; store it now:"), secret)
        )

    @admin.action(description=gettext_lazy("Revoke the selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """The keys are refused from now on."""
        count = queryset.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
        for key in queryset:
            self.log_change(request, key, _("Revoked."))
        messages.success(request, ngettext("%d key was revoked.", "%d keys were revoked.", count) % count)
