"""The emails app."""

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class EmailsConfig(AppConfig):
    """Mails: every one is a row before it is sent."""

    name = "emails"
    verbose_name = _("Emails")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Add to a lead's page, to what is erased of a lead, and to `check --deploy`."""
        from . import erasure, lead_page
        from .checks import check_way_out

        lead_page.register()
        erasure.register()
        checks.register(check_way_out, deploy=True)
