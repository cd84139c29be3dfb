"""Notifications for staff."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy

from admin_lists.keyset_admin import KeysetAdmin
from leads.admin.scope import ReadOnlyScopedAdmin

from .models import ContactPreference, Notification, PushDevice, PushMessage, SmsMessage


@admin.register(Notification)
class NotificationAdmin(ReadOnlyScopedAdmin):
    """What stands in the inboxes."""

    in_order_by_organization = True
    list_display = ("created_at", "user", "kind", "title", "read_at")
    list_filter = ("kind",)
    list_select_related = ("user",)
    search_ids = ("id", "event_id")
    search_help_text = gettext_lazy("The id of a notification or of an event.")


@admin.register(SmsMessage)
class SmsMessageAdmin(ReadOnlyScopedAdmin):
    """Text messages."""

    in_order_by_organization = True
    list_display = ("created_at", "to", "lead", "state", "receipt", "sent_at")
    list_filter = ("state",)
    list_select_related = ("lead",)
    search_ids = ("id", "lead")
    search_exact = ("to",)
    search_help_text = gettext_lazy("The id of a text message or of a lead, or a whole number.")


@admin.register(PushMessage)
class PushMessageAdmin(ReadOnlyScopedAdmin):
    """What was pushed."""

    in_order_by_organization = True
    list_display = ("created_at", "notification", "device", "state", "receipt", "sent_at")
    list_filter = ("state",)
    list_select_related = ("notification", "device")
    search_ids = ("id", "notification")
    search_help_text = gettext_lazy("The id of a push message or of a notification.")


@admin.register(PushDevice)
class PushDeviceAdmin(KeysetAdmin):
    """Devices that users registered."""

    list_display = ("user", "name", "created_at")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)


@admin.register(ContactPreference)
class ContactPreferenceAdmin(KeysetAdmin):
    """Who wants text messages."""

    list_display = ("user", "phone", "wants_sms")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)
