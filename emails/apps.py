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
        """Add to a lead's page, its erasure and who is told of it, to the head of members' pages, events and checks."""
        from jobs import register_effects, register_findings
        from leads.recipients import register_unreached

        from . import demo, erasure, findings, job_effects, lead_page, place, suppression
        from .checks import check_way_out

        lead_page.register()
        erasure.register()
        place.register()
        demo.register()
        register_unreached(suppression.suppressed_among)
        register_findings("emails", findings.find)
        register_effects("emails", job_effects.find)
        checks.register(check_way_out, deploy=True)
