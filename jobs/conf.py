"""`settings.JOBS`, read once, typed and checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from ipaddress import ip_network
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string
from django.utils.translation import gettext, gettext_noop

NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
#: 32 bytes in the base64 of addresses: what Fernet takes.
KEY = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]=\Z")
TOKEN = re.compile(r"[!-~]{16,}\Z")
RELEASE = re.compile(r"[!-~]{0,64}\Z")


@dataclass(frozen=True)
class JobsSettings:
    """The engine's settings; times are in seconds.

    `queues` is the module that defines the queues; `database` the alias that holds the jobs; `lease` how long a silent
    worker process keeps its jobs; `grace` how long running jobs may take to finish at a stop; `unknown_grace` how long
    a job waits for a worker that knows its task; `strict` makes an undeclared start of a receiver an error;
    `ignore_apps` are apps, by label or name, whose `tasks` and `receivers` are another system's and not imported;
    `scope` is a function, by its dotted path, that answers whose a job is, for a call's arguments by name;
    `visible_scopes` is one that answers, for a user and a permission, the scopes for whose jobs it holds, None: all;
    `synchronous_commit=False` lets PostgreSQL acknowledge claims and settlements before they are on its disk;
    `release` names the release of the code that runs here, to be told with failures; `mail_admins` lets the keeper mail
    new causes of dead letters to Django's ADMINS; `encryption_keys` are Fernet keys for `@queue.task(encrypted=)`: the
    first encrypts, all decrypt; `metrics_token` and `metrics_networks`: who may read the metrics;
    `fault_points` is a function of the tests that is called at each point of `jobs.faults`.
    """

    queues: str = "config.queues"
    namespace: str = "esteira"
    database: str = "default"
    redis_url: str = ""
    lease: float = 30
    grace: float = 30
    unknown_grace: float = 900
    strict: bool = False
    allow_network_file_system: bool = False
    synchronous_commit: bool = True
    fault_points: str = ""
    ignore_apps: Sequence[str] = ()
    scope: str = ""
    visible_scopes: str = ""
    release: str = ""
    mail_admins: bool = False
    encryption_keys: Sequence[str] = field(default=(), repr=False)
    metrics_token: str = field(default="", repr=False)
    metrics_networks: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, known in self.__dataclass_fields__.items():
            kind, value = type(known.default), getattr(self, name)
            if kind in (str, bool) and not isinstance(value, kind):
                raise ImproperlyConfigured(f"JOBS[{name.upper()!r}]={value!r}: expected a {kind.__name__}")
        apps_given: Any = self.ignore_apps
        if not isinstance(apps_given, (list, tuple)) or not all(isinstance(one, str) for one in apps_given):
            raise ImproperlyConfigured(f"JOBS['IGNORE_APPS']={apps_given!r}: expected a list of apps' labels")
        for name, lowest in (("lease", 1), ("grace", 0), ("unknown_grace", 0)):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not lowest <= value <= 86_400:
                text = gettext_noop("%(setting)s: expected seconds between %(lowest)d and 86400 (a day)")
                setting = f"JOBS_{name.upper()}={value!r}"
                raise ImproperlyConfigured(_said(text) % {"setting": setting, "lowest": lowest})
        _check_keys(self.encryption_keys)
        _check_metrics(self.metrics_token, self.metrics_networks)
        if not NAMESPACE.match(self.namespace):
            text = gettext_noop("JOBS_NAMESPACE=%(value)s: expected up to 64 letters, digits, '_', '.' or '-'")
            raise ImproperlyConfigured(_said(text) % {"value": repr(self.namespace)})
        if not RELEASE.match(self.release):
            text = gettext_noop("JOBS_RELEASE=%(value)s: expected up to 64 characters without spaces, like 2026.11.2")
            raise ImproperlyConfigured(_said(text) % {"value": repr(self.release)})
        if self.fault_points and not self.fault_points.startswith("tests."):
            raise ImproperlyConfigured(
                f"JOBS['FAULT_POINTS']={self.fault_points!r}: only tests may set it, to a function below 'tests.'; "
                "remove it"
            )
        if self.database not in settings.DATABASES:
            raise ImproperlyConfigured(
                f"JOBS['DATABASE']={self.database!r} is not in DATABASES; aliases are: {', '.join(settings.DATABASES)}"
            )


def _check_keys(keys: Any) -> None:
    if not isinstance(keys, (list, tuple)):
        raise ImproperlyConfigured("JOBS['ENCRYPTION_KEYS']: expected a list of keys")
    for place, key in enumerate(keys, 1):
        # the key itself is not to stand in a log
        if not isinstance(key, str) or not KEY.match(key):
            text = gettext_noop(
                "JOBS_ENCRYPTION_KEYS: key %(place)d is no key; make one with `openssl rand -base64 32 | tr +/ -_`"
            )
            raise ImproperlyConfigured(_said(text) % {"place": place})


def _check_metrics(token: str, networks: Any) -> None:
    if token and not TOKEN.match(token):
        # the token itself is not to stand in a log
        text = gettext_noop(
            "METRICS_TOKEN: expected at least 16 characters without spaces; make one with `openssl rand -hex 32`"
        )
        raise ImproperlyConfigured(_said(text))
    try:
        for network in networks:
            ip_network(network)
    except (TypeError, ValueError):
        text = gettext_noop("%(setting)s is not a list of networks like 10.1.2.0/24")
        setting = f"METRICS_NETWORKS={networks!r}"
        raise ImproperlyConfigured(_said(text) % {"setting": setting}) from None


@cache
def jobs_settings() -> JobsSettings:
    """The engine's settings; raises `ImproperlyConfigured` and names the wrong value."""
    given: dict[str, Any] = getattr(settings, "JOBS", {})
    if not isinstance(given, dict):
        raise ImproperlyConfigured(f"JOBS={given!r}: expected a dict of settings")
    known = {name.upper(): name for name in JobsSettings.__dataclass_fields__}
    for name in given:
        if name not in known:
            near = get_close_matches(str(name).upper(), known, 1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise ImproperlyConfigured(
                f"JOBS[{name!r}] is not a setting{meant}; settings are: {', '.join(sorted(known))}"
            )
    return JobsSettings(**{known[name]: value for name, value in given.items()})


@cache
def function_of(setting: str, path: str, takes: str) -> Any:
    """The function that a setting of JOBS names by its dotted path; raises `ImproperlyConfigured` if there is none."""
    try:
        found = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"JOBS[{setting!r}]={path!r} cannot be imported: {error}") from error
    if not callable(found):
        raise ImproperlyConfigured(f"JOBS[{setting!r}]={path!r} is no function of {takes}")
    return found


def _said(text: str) -> str:
    """The text in the site's language; in English as long as the apps are being loaded."""
    return gettext(text) if apps.apps_ready else text


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"JOBS", "DATABASES"}:
        jobs_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="jobs.conf")
