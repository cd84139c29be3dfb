"""The leads app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LeadsConfig(AppConfig):
    """Leads: who they are, how they come in, what follows."""

    name = "leads"
    verbose_name = _("Leads")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Offer the actions on a lead's page."""
        from . import lead_page

        lead_page.register()
