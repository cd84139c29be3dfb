"""The notifications app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    """What users are told: inbox, push, text messages."""

    name = "notifications"
    verbose_name = _("Notifications")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Add to a lead's page, to what is erased of a lead, to the head of members' pages, and to who is mailed."""
        from jobs import register_effects
        from leads.recipients import register_declined

        from . import erasure, job_effects, lead_page, place, wishes

        lead_page.register()
        erasure.register()
        place.register()
        register_declined(wishes.declined_mail)
        register_effects("notifications", job_effects.find)
