"""The emails app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EmailsConfig(AppConfig):
    """Mails: every one is a row before it is sent."""

    name = "emails"
    verbose_name = _("Emails")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Add to a lead's page, and to what is erased of a lead."""
        from . import erasure, lead_page

        lead_page.register()
        erasure.register()
