"""The emails app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EmailsConfig(AppConfig):
    """See DESIGN: emails."""

    name = "emails"
    verbose_name = _("Emails")
    default_auto_field = "django.db.models.BigAutoField"
