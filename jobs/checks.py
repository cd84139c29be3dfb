"""Django system checks: what would keep the jobs from running rightly, said before anything runs."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils.translation import gettext as _

from .broker import get_broker
from .conf import jobs_settings
from .defined import queues
from .policy import Breaker, Limit
from .sqlite_files import is_in_memory, path_of

LOWEST_SQLITE = (3, 37, 0)
#: File systems on which SQLite's shared memory and locks do not hold between machines.
NETWORK_FILE_SYSTEMS = re.compile(
    r"(nfs\d*|cifs|smb3|smbfs|9p|afs|ceph|virtiofs|lustre|beegfs|glusterfs|fuse\.(sshfs|ceph.*|glusterfs|s3fs|rclone))\Z"
)
MOUNTS = Path("/proc/self/mountinfo")


def check_jobs(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """The checks of the engine's settings, queues, broker and database; none of them connects."""
    try:
        jobs_settings()
        queues()
        get_broker()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="jobs.E001")]
    return [*_check_task_names(), *_check_limits(), *_check_encryption(), *_check_database()]


def _check_limits() -> Iterable[CheckMessage]:
    """One name has one rule: each claim counts by the one of its own task."""
    first: dict[str, tuple[str, Limit | Breaker]] = {}
    for task in (task for queue in queues().values() for task in queue.tasks.values()):
        rules: list[Limit | Breaker] = [*task.limits, *task.breakers]
        for limit in rules:
            name, known = first.setdefault(limit.name, (task.name, limit))
            if known != limit:
                text = _(
                    "the limit '%(limit)s' has two rules: %(one)s of task %(first)s and %(other)s of task %(second)s; "
                    "give both the same, or two names"
                )
                values = {"limit": limit.name, "first": name, "second": task.name, "one": known, "other": limit}
                yield Error(text % values, id="jobs.E018")


def check_admin(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """What the pages of jobs in the admin need beside what the admin itself asks for; no worker does."""
    if not apps.is_installed("django.contrib.admin") or apps.is_installed("admin_lists"):
        return []
    text = _("the admin's pages of jobs use templates of 'admin_lists': add it to INSTALLED_APPS")
    return [Error(text, id="jobs.E004")]


def _check_database() -> list[CheckMessage]:
    alias = jobs_settings().database
    found = [*_check_time_zones(alias), *_check_autocommit(alias), *_check_router(alias)]
    if connections[alias].vendor != "sqlite":
        return found
    return [*found, *_check_sqlite_version(), *_check_file_system(), *_check_transaction_mode(), *_check_journal(alias)]


def check_in_memory() -> list[CheckMessage]:
    """A database in memory is well for tests; the processes of `run_huey` would each have one of their own."""
    alias = jobs_settings().database
    connection = connections[alias]
    if connection.vendor != "sqlite" or not is_in_memory(str(connection.settings_dict["NAME"])):
        return []
    text = _("DATABASES['%(alias)s'] is in memory, where no other process finds it: give it a file's path as NAME")
    return [Error(text % {"alias": alias}, id="jobs.E010")]


def network_file_system(path: Path, mounts: str) -> str:
    """The type of the network file system that holds `path`, by the text of `/proc/self/mountinfo`; else empty."""
    best, kind = "", ""
    place = os.path.realpath(path)
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        words = fields.split()
        if len(words) < 5 or not rest:
            continue
        mount = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), words[4])
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        # of two mounts on one place the later one lies on top
        if inside and len(mount) >= len(best):
            best, kind = mount, rest.split()[0]
    return kind if NETWORK_FILE_SYSTEMS.match(kind) else ""


def _check_time_zones(alias: str) -> Iterable[CheckMessage]:
    if not settings.USE_TZ:
        text = _("USE_TZ is False: jobs are due, and end, at aware times; set USE_TZ = True")
        yield Error(text, id="jobs.E011")
    zone = connections[alias].settings_dict.get("TIME_ZONE")
    # PostgreSQL's columns hold moments; SQLite's hold texts, and the engine writes them in UTC
    if connections[alias].vendor == "sqlite" and zone not in (None, "UTC"):
        text = _("DATABASES['%(alias)s']['TIME_ZONE'] is %(zone)s, but jobs' times are kept in UTC: remove it")
        yield Error(text % {"alias": alias, "zone": repr(zone)}, id="jobs.E012")


def _check_autocommit(alias: str) -> Iterable[CheckMessage]:
    if not connections[alias].settings_dict["AUTOCOMMIT"]:
        text = _(
            "DATABASES['%(alias)s']['AUTOCOMMIT'] is False: nothing that is said of jobs outside transaction.atomic() "
            "would be committed; remove it"
        )
        yield Error(text % {"alias": alias}, id="jobs.E013")


def _check_router(alias: str) -> Iterable[CheckMessage]:
    if not router.allow_migrate_model(alias, apps.get_model("jobs", "Job")):
        text = _(
            "DATABASE_ROUTERS keep the tables of jobs out of the database '%(alias)s', where jobs are kept: allow "
            "them there, or name another alias in JOBS['DATABASE']"
        )
        yield Error(text % {"alias": alias}, id="jobs.E014")


def _check_journal(alias: str) -> Iterable[CheckMessage]:
    command = str(connections[alias].settings_dict.get("OPTIONS", {}).get("init_command") or "")
    mode = re.search(r"journal_mode\s*(?:=|\()\s*'?(\w+)", command)
    if mode and mode[1].upper() != "WAL":
        text = _(
            "DATABASES['%(alias)s']['OPTIONS']['init_command'] sets journal_mode to %(mode)s: jobs need WAL, in which "
            "nobody who reads waits for who writes; write journal_mode=WAL"
        )
        yield Error(text % {"alias": alias, "mode": mode[1]}, id="jobs.E015")


def _check_task_names() -> Iterable[CheckMessage]:
    homes: dict[str, list[str]] = {}
    for queue in queues().values():
        for task in queue.tasks.values():
            for name in (task.name, *task.aliases):
                homes.setdefault(name, []).append(queue.name)
    for name, names in homes.items():
        if len(names) > 1:
            text = _(
                "the task name '%(name)s' is taken on several queues (%(queues)s): the command line finds only the "
                "first, and schedules of one name tick only once; give one of them another name="
            )
            yield Warning(text % {"name": name, "queues": ", ".join(names)}, id="jobs.W002")


def _check_encryption() -> Iterable[CheckMessage]:
    sealed = sorted(task.name for queue in queues().values() for task in queue.tasks.values() if task.encrypted)
    if not sealed:
        return
    if not jobs_settings().encryption_keys:
        text = _(
            "the arguments of %(tasks)s are to be encrypted, and there is no key: set JOBS_ENCRYPTION_KEYS to one or "
            "several, made with `openssl rand -base64 32 | tr +/ -_`"
        )
        yield Error(text % {"tasks": ", ".join(sealed)}, id="jobs.E016")
    if find_spec("cryptography") is None:
        text = _("the arguments of %(tasks)s are to be encrypted: install the package `cryptography`")
        yield Error(text % {"tasks": ", ".join(sealed)}, id="jobs.E017")


def _check_sqlite_version() -> Iterable[CheckMessage]:
    if sqlite3.sqlite_version_info < LOWEST_SQLITE:
        text = _("SQLite %(version)s is too old to hold the jobs: 3.37 or newer is needed; use a newer Python build")
        yield Error(text % {"version": sqlite3.sqlite_version}, id="jobs.E002")


def _check_file_system() -> Iterable[CheckMessage]:
    options = jobs_settings()
    if options.allow_network_file_system:
        return
    path = Path(path_of(str(connections[options.database].settings_dict["NAME"])))
    try:
        mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    if kind := network_file_system(path, mounts):
        text = _(
            "the database %(path)s lies on a network file system (%(kind)s), where SQLite's locks do not hold: move it "
            "to a local disk, or set JOBS_ALLOW_NETWORK_FILE_SYSTEM=true if only one machine uses it"
        )
        yield Error(text % {"path": path, "kind": kind}, id="jobs.E003")


def _check_transaction_mode() -> Iterable[CheckMessage]:
    alias = jobs_settings().database
    options = connections[alias].settings_dict.get("OPTIONS", {})
    if str(options.get("transaction_mode", "")).upper() not in {"IMMEDIATE", "EXCLUSIVE"}:
        text = _(
            "DATABASES['%(alias)s']['OPTIONS']['transaction_mode'] is not 'IMMEDIATE': a transaction that reads before "
            "it writes fails at once ('database is locked') when another one wrote in between"
        )
        yield Warning(text % {"alias": alias}, id="jobs.W001")
