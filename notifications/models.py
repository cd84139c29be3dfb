"""What users are told, and on which ways."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Organization
from leads.models import Effect, Lead


class Notification(models.Model):
    """A line in a user's inbox. The text holds no personal data; the page behind `action_url` shows the rest."""

    class Kind(models.TextChoices):
        """How much it matters."""

        INFO = "INFO", pgettext_lazy("notification", "information")
        WARNING = "WARNING", pgettext_lazy("notification", "warning")
        URGENT = "URGENT", pgettext_lazy("notification", "urgent")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications", verbose_name=_("user")
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("organization")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.INFO)
    title = models.CharField(_("title"), max_length=200)
    message = models.TextField(_("message"), blank=True, default="")
    action_url = models.CharField(_("page"), max_length=500, blank=True, default="")
    event_id = models.UUIDField(_("event id"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    read_at = models.DateTimeField(_("read"), null=True, blank=True)
    #: when a daily mail told of it; each is told of once
    mailed_at = models.DateTimeField(_("in the daily email"), null=True, blank=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["event_id", "user"], name="notifications_one_of_event")]
        indexes = [
            models.Index(fields=["user", "created_at", "id"], name="notifications_of_user"),
            # how many: each page's head says it
            models.Index(
                fields=["user", "created_at", "id"],
                name="notifications_unread",
                condition=models.Q(read_at__isnull=True),
            ),
            models.Index(
                fields=["user", "-created_at"],
                name="notifications_to_mail",
                condition=models.Q(read_at__isnull=True, mailed_at__isnull=True),
            ),
            models.Index(fields=["created_at", "id", "kind"], name="notifications_list"),
            models.Index(fields=["organization", "created_at", "id", "kind"], name="notifications_list_of_org"),
        ]

    def __str__(self) -> str:
        return self.title


class Channel(models.TextChoices):
    """A way on which news reach somebody beside the inbox, which gets all."""

    MAIL = "mail", pgettext_lazy("channel", "Email")
    PUSH = "push", pgettext_lazy("channel", "Push")
    SMS = "sms", pgettext_lazy("channel", "SMS")


#: Whether somebody hears of a kind of news on a channel who has chosen nothing.
UNLESS_CHOSEN = {Channel.MAIL: True, Channel.PUSH: True, Channel.SMS: False}


class ContactPreference(models.Model):
    """Where a user wants to be reached beside the inbox, of what, and when not."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="contact_preference",
        verbose_name=_("user"),
    )
    phone = models.CharField(_("phone"), max_length=32, blank=True, default="", help_text=_("As +5511912345678."))
    wants_sms = models.BooleanField(_("wants text messages for what is urgent"), default=False)
    #: channel -> the kinds that are wanted on it; of text messages without what is urgent, for which `wants_sms` stands
    choices = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), blank=True, editable=False
    )
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)

    class Meta:
        verbose_name = _("contact preference")
        verbose_name_plural = _("contact preferences")

    def __str__(self) -> str:
        return str(self.user)

    def wants(self, channel: Channel, kind: str) -> bool:
        """Whether news of this kind go out on the channel."""
        if channel == Channel.SMS and kind == Notification.Kind.URGENT:
            return self.wants_sms
        chosen = self.choices.get(channel)
        return UNLESS_CHOSEN[channel] if chosen is None else kind in chosen

    def choose(self, channel: Channel, kinds: Collection[str]) -> None:
        """Want these kinds on the channel, and no others. Not saved yet."""
        if channel == Channel.SMS:
            self.wants_sms = Notification.Kind.URGENT in kinds
        self.choices = {**self.choices, channel.value: [kind.value for kind in Notification.Kind if kind in kinds]}


class PushDevice(models.Model):
    """A browser or phone that a user allowed us to push to."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="push_devices", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=100, blank=True, default="")
    address = models.CharField(_("address"), max_length=1_000, unique=True, help_text=_("Given by the push service."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("push device")
        verbose_name_plural = _("push devices")

    def __str__(self) -> str:
        return self.name or str(self.id)


class PushMessage(Effect):
    """One notification to one device."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("organization")
    )
    notification = models.ForeignKey(
        Notification, on_delete=models.CASCADE, related_name="pushes", verbose_name=_("notification")
    )
    device = models.ForeignKey(PushDevice, on_delete=models.CASCADE, related_name="messages", verbose_name=_("device"))
    receipt = models.CharField(_("receipt"), max_length=200, blank=True, default="")

    class Meta:
        verbose_name = _("push message")
        verbose_name_plural = _("push messages")
        constraints = [
            models.UniqueConstraint(fields=["notification", "device"], name="notifications_one_push_a_device")
        ]
        indexes = [
            models.Index(fields=["created_at", "id", "state"], name="notifications_push_list"),
            models.Index(fields=["organization", "created_at", "id", "state"], name="notifications_push_list_of_org"),
        ]

    def __str__(self) -> str:
        return f"{self.notification_id} → {self.device_id}"


class SmsMessage(Effect):
    """One text message. `key` names the intent: the same intent is never stated twice."""

    key = models.CharField(_("key"), max_length=200, unique=True)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("organization")
    )
    lead = models.ForeignKey(
        Lead, on_delete=models.CASCADE, null=True, blank=True, related_name="sms_messages", verbose_name=_("lead")
    )
    notification = models.ForeignKey(
        Notification,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="sms_messages",
        verbose_name=_("notification"),
    )
    to = models.CharField(_("to"), max_length=32)
    text = models.TextField(_("text"), max_length=1_000)
    receipt = models.CharField(_("receipt"), max_length=200, blank=True, default="")

    class Meta:
        verbose_name = _("text message")
        verbose_name_plural = _("text messages")
        ordering = ["-created_at"]
        permissions = [("send_sms", _("Can send text messages to leads"))]
        indexes = [
            models.Index(fields=["created_at", "id", "state"], name="notifications_sms_list"),
            models.Index(fields=["organization", "created_at", "id", "state"], name="notifications_sms_list_of_org"),
            models.Index(fields=["to", "organization"], name="notifications_sms_to"),
        ]

    def __str__(self) -> str:
        return f"{self.to} {self.get_state_display()}"
