"""What is looked at before anything starts: the page of roles, and the age of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .models import Role

OLD_DATABASE = gettext_lazy(
    "This database was made by an older version that had no accounts yet, and cannot be upgraded: set DATABASE_URL "
    "to a new, empty database, or move the old SQLite file away."
)


def check_roles(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Every role is one, and every permission that it has exists."""
    table = import_string(settings.ROLES)
    known = {f"{model._meta.app_label}.{name}" for model in apps.get_models() for name in _permissions(model)}
    wrong = [role for role in table if role not in Role.values]
    wrong += [name for names in table.values() for name in sorted(set(names) - known)]
    text = _("%(page)s names %(name)s, which does not exist: correct it, or take it out.")
    found: list[CheckMessage] = [
        Error(text % {"page": settings.ROLES, "name": repr(name)}, id="accounts.E001") for name in wrong
    ]
    text = _("%(page)s gives a role %(name)s, which is about the whole site: give it to people on their own pages.")
    given = sorted({name for names in table.values() for name in names if _is_of_the_site(name)})
    found += [Error(text % {"page": settings.ROLES, "name": repr(name)}, id="accounts.E003") for name in given]
    return found


def check_database_age(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """A database whose tables were made before there was `accounts` is not touched."""
    old = [alias for alias in databases or [] if _is_old(alias)]
    return [Error(str(OLD_DATABASE), id="accounts.E002") for _each in old]


def _is_old(alias: str) -> bool:
    recorder = MigrationRecorder(connections[alias])
    applied = recorder.applied_migrations()
    return ("leads", "0001_initial") in applied and ("accounts", "0001_initial") not in applied


def _is_of_the_site(name: str) -> bool:
    return name in {"jobs.view_every_scope", "jobs.pause_queue", "jobs.change_limits"} or name.startswith("auth.")


def _permissions(model: Any) -> Iterator[str]:
    for action in model._meta.default_permissions:
        yield f"{action}_{model._meta.model_name}"
    for name, _text in model._meta.permissions:
        yield name
