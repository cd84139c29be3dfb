"""The leads app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LeadsConfig(AppConfig):
    """Leads: who they are, how they come in, what follows."""

    name = "leads"
    verbose_name = _("Leads")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Offer the actions on a lead's page, say what is erased of a lead, and what needs a person."""
        from jobs import register_effects, register_eraser, register_findings

        from . import erasure_parts, findings, job_effects, lead_page
        from .models import Lead
        from .services import erase_lead_by_key

        lead_page.register()
        erasure_parts.register()
        register_findings("leads", findings.find)
        register_effects("leads", job_effects.find)
        register_eraser(Lead._meta.label_lower, erase_lead_by_key)
