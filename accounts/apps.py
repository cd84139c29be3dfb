"""The accounts app."""

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """Organizations and people: who they are, what they may see, how they get in."""

    name = "accounts"
    verbose_name = _("Accounts")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Look at the roles, and at the age of the database."""
        from .checks import check_database_age, check_roles

        checks.register(check_roles)
        checks.register(check_database_age, checks.Tags.database)
