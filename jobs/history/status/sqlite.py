"""What SQLite suffers from: a reader that never ends makes its write-ahead log grow, and every look slower.

SQLite keeps no list of transactions; the size of the log is what tells of an old one.
"""

from __future__ import annotations

import os

from django.db.backends.base.base import BaseDatabaseWrapper
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from ...sqlite_files import path_of
from .finding import Finding, Limits


def findings(connection: BaseDatabaseWrapper, limits: Limits) -> list[Finding]:
    """The write-ahead log is too large."""
    size = log_size(connection)
    if size <= limits.write_ahead_log:
        return []
    text = _(
        "SQLite's write-ahead log has grown to %(size)s: something has been reading the database for long. End it (a "
        "shell, a backup, a report), then the keeper cuts the log off within a minute."
    )
    return [Finding("large_log", "", text % {"size": filesizeformat(size)})]


def log_size(connection: BaseDatabaseWrapper) -> int:
    """Bytes of the write-ahead log; 0 if there is none."""
    try:
        return os.stat(f"{path_of(str(connection.settings_dict['NAME']))}-wal").st_size
    except OSError:
        return 0
