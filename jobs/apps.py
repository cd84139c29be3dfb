"""The engine as a Django app."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils.module_loading import import_string, module_has_submodule
from django.utils.translation import gettext_lazy as _

from .causes import told

#: Where an app's tasks and receivers are looked for.
MODULES = ("tasks", "receivers")


class JobsConfig(AppConfig):
    """Finds the queues' tasks and the apps' receivers when Django starts."""

    name = "jobs"
    verbose_name = _("Jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Read the settings, so that a wrong one stops every command, and import all `tasks` and `receivers`."""
        from .checks import check_admin, check_jobs
        from .conf import jobs_settings
        from .connections import close_replaced_connections
        from .sqlite_files import note_opened

        connection_created.connect(note_opened, dispatch_uid="jobs.note_opened")
        connection_created.connect(_make_way, dispatch_uid="jobs.make_way")
        request_started.connect(close_replaced_connections, dispatch_uid="jobs.close_replaced")
        checks.register(check_jobs, "jobs")
        checks.register(check_admin, "jobs")
        _import_backends_of_tasks()
        try:
            import_tasks_and_receivers(jobs_settings().ignore_apps)
        except ImproperlyConfigured as error:
            if sys.argv[1:2] != ["run_huey"]:
                raise
            # who watches over workers needs a sentence and the code that says "do not restart", under any manage.py
            sys.stderr.write(f"{error}\n")
            sys.exit(os.EX_CONFIG)


def close_own_connections() -> None:
    """Close the connections to databases that the engine holds open itself in this process; it opens them again."""
    from .broker import close_broker
    from .history.endings import stop_looking

    close_broker()
    stop_looking()


def _make_way(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Close them when somebody connects beside this thread's own connections.

    So Django does to create, copy and drop a test database, which the server refuses while others are connected to it.
    """
    known = connection.alias in connections.settings and connections[connection.alias] is connection
    if not known and apps.ready:
        close_own_connections()


def import_tasks_and_receivers(ignored: Collection[str] = ()) -> None:
    """Import each app's `tasks` and `receivers`, but for the `ignored` apps, given by label or name.

    Raises `ImproperlyConfigured`: one that cannot be imported stops the start, since its events would be lost unseen.
    """
    configs = list(apps.get_app_configs())
    known = {name for config in configs for name in (config.label, config.name)}
    for name in ignored:
        if name not in known:
            labels = ", ".join(sorted(config.label for config in configs))
            raise ImproperlyConfigured(f"JOBS['IGNORE_APPS'] names {name!r}, which is no app; apps are: {labels}")
    for config in configs:
        if config.label in ignored or config.name in ignored:
            continue
        for name in MODULES:
            if config.module is not None and module_has_submodule(config.module, name):
                _import(config, f"{config.name}.{name}")


def _import_backends_of_tasks() -> None:
    """Import the backends of Django's tasks, so that a worker knows those of ours, and with them the functions."""
    for backend in getattr(settings, "TASKS", {}).values():
        # what cannot be imported, Django says when it is asked for
        with suppress(ImportError, KeyError, TypeError):
            import_string(backend["BACKEND"])


def _import(config: AppConfig, module: str) -> None:
    try:
        import_module(module)
    except (Exception, SystemExit) as error:
        raise ImproperlyConfigured(
            f"{module} of the app {config.label!r} cannot be imported: {told(error)}. "
            f"Mend it; or, if it has no tasks or receivers of these jobs, leave the app out: "
            f'JOBS = {{"IGNORE_APPS": [{config.label!r}]}}'
        ) from error
