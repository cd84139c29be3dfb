"""Settings of the test suite: SQLite in a file, since threads and child processes must see it."""

import os

from .base import *  # noqa: F403
from .base import BASE_DIR, DATABASES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES["default"]["TEST"] = {"NAME": os.environ.get("TEST_DATABASE_NAME") or BASE_DIR / "var" / "test.sqlite3"}
JOBS = {"QUEUES": "config.queues", "STRICT": True}
