"""Notifications for staff."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from accounts.admin.scope import PeopleScopedAdmin, ReadOnlyScopedAdmin
from leads.admin.effects import EffectAdmin

from .marks import KINDS
from .models import ContactPreference, Notification, PushDevice, PushMessage, SmsMessage


@admin.register(Notification)
class NotificationAdmin(ReadOnlyScopedAdmin):
    """What stands in the inboxes."""

    in_order_by_organization = True
    list_display = ("created_at", "user", "kind", "title", "read_at")
    list_filter = ("kind",)
    marks = {"kind": KINDS}
    empty_text = gettext_lazy("What people find in their inbox, for example that a new lead has come in.")
    list_select_related = ("user",)
    search_ids = ("id", "event_id")
    search_help_text = gettext_lazy("The id of a notification or of an event.")


@admin.register(SmsMessage)
class SmsMessageAdmin(EffectAdmin):
    """Text messages."""

    in_order_by_organization = True
    list_display = ("created_at", "to", "lead", "state", "receipt", "sent_at")
    list_filter = ("state",)
    list_select_related = ("lead",)
    search_ids = ("id", "lead")
    search_exact = ("to",)
    empty_text = gettext_lazy("Text messages to leads and to members stand here, with what became of them.")
    search_help_text = gettext_lazy("The id of a text message or of a lead, or a whole number.")


@admin.register(PushMessage)
class PushMessageAdmin(EffectAdmin):
    """What was pushed."""

    in_order_by_organization = True
    list_display = ("created_at", "notification", "device", "state", "receipt", "sent_at")
    list_filter = ("state",)
    list_select_related = ("notification", "device")
    search_ids = ("id", "notification")
    empty_text = gettext_lazy("What is pushed to people’s devices stands here, with what became of it.")
    search_help_text = gettext_lazy("The id of a push message or of a notification.")


@admin.register(PushDevice)
class PushDeviceAdmin(PeopleScopedAdmin):
    """Devices that users registered; whoever has an address could push to it, so none is shown."""

    list_display = ("user", "name", "created_at")
    list_select_related = ("user",)
    exclude = ("address",)
    empty_text = gettext_lazy("A device appears here once its owner has turned on push messages on it.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A device registers itself."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited; a device that is lost can be deleted."""
        return False


@admin.register(ContactPreference)
class ContactPreferenceAdmin(PeopleScopedAdmin):
    """Who wants text messages."""

    list_display = ("user", "phone", "wants_sms")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)
    empty_text = gettext_lazy(
        "A person appears here after choosing how to be told of news. You can also add somebody’s choice."
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """A wish is somebody's, and stays theirs."""
        return ("user",) if obj else ()
