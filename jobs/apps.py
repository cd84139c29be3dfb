"""The engine as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """Finds the queues' tasks and the apps' receivers when Django starts."""

    name = "jobs"
    verbose_name = _("Jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Read the settings, so that a wrong one stops every command, and import all `tasks` and `receivers`."""
        from .checks import check_jobs
        from .conf import jobs_settings

        jobs_settings()
        checks.register(check_jobs, "jobs")
        autodiscover_modules("tasks", "receivers")
