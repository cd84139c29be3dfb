"""API keys: made, shown once, revoked."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..models import ApiKey
from ..services import create_api_key
from .scope import ScopedAdmin
from .shown_once import shown_once


class ApiKeyAdmin(ScopedAdmin):
    """API keys: shown once, revoked, never edited."""

    list_display = ("name", "organization", "prefix", "created_at", "last_used_at", "revoked_at")
    list_select_related = ("organization",)
    fields = ("organization", "name", "prefix", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)
    empty_text = gettext_lazy("A program that sends leads in needs a key. Add one: it is shown once.")

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
