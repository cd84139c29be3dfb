"""Notifications for staff."""

from __future__ import annotations

from django.contrib import admin

from leads.admin.scope import ReadOnlyScopedAdmin

from .models import ContactPreference, Notification, PushDevice, PushMessage, SmsMessage


@admin.register(Notification)
class NotificationAdmin(ReadOnlyScopedAdmin):
    """What stands in the inboxes."""

    list_display = ("created_at", "user", "kind", "title", "read_at")
    list_filter = ("kind",)
    list_select_related = ("user",)
    search_fields = ("=id", "=event_id")


@admin.register(SmsMessage)
class SmsMessageAdmin(ReadOnlyScopedAdmin):
    """Text messages."""

    list_display = ("created_at", "to", "lead", "state", "receipt", "sent_at")
    list_filter = ("state",)
    list_select_related = ("lead",)
    search_fields = ("=id", "=to")


@admin.register(PushMessage)
class PushMessageAdmin(ReadOnlyScopedAdmin):
    """What was pushed."""

    organization_path = "notification__organization"
    list_display = ("created_at", "notification", "device", "state", "receipt", "sent_at")
    list_filter = ("state",)
    list_select_related = ("notification", "device")
    search_fields = ("=id",)


@admin.register(PushDevice)
class PushDeviceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Devices that users registered."""

    list_display = ("user", "name", "created_at")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)
    show_full_result_count = False


@admin.register(ContactPreference)
class ContactPreferenceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Who wants text messages."""

    list_display = ("user", "phone", "wants_sms")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)
    show_full_result_count = False
