"""Duty: keep SQLite's write-ahead log short. Does nothing on other databases."""

from __future__ import annotations

import logging
import os

from django.db import connections

from ..conf import jobs_settings
from ..faults import point
from ..sqlite_files import path_of

logger = logging.getLogger("jobs.keeper")

#: Seconds between two runs: a look at the file's size, and under load a try is often in vain.
INTERVAL = 5.0
#: Bytes above which the log is cut off: a long reader makes it grow, and it does not shrink by itself.
LARGE = 32 * 1024 * 1024


def run() -> int:
    """Cut the log off if it is large and nobody needs it; returns how many bytes went."""
    connection = connections[jobs_settings().database]
    if connection.vendor != "sqlite":
        return 0
    log = f"{path_of(str(connection.settings_dict['NAME']))}-wal"
    before = _size(log)
    if before < LARGE:
        return 0
    with connection.cursor() as cursor:
        # PASSIVE waits for nobody; only if it reached the end, nobody is reading and the log may be cut off
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        _, pages, moved = cursor.fetchone()
        if moved < pages:
            return 0
        cursor.execute("PRAGMA busy_timeout")
        (patience,) = cursor.fetchone()
        # TRUNCATE holds the write lock while it waits for readers: it must not wait
        cursor.execute("PRAGMA busy_timeout = 0")
        point("upkeep.before")
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.fetchone()
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {int(patience)}")
    freed = max(0, before - _size(log))
    if not freed:
        return 0
    point("upkeep.after")
    logger.info("log_cut_off bytes=%d", freed)
    return freed


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
