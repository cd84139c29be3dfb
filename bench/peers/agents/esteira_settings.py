"""A site with this project's engine alone, on what BENCH_STORE names; no log line below a warning.

One address of a database; or one of a Redis and, behind a space, one of the database that has the history.
"""

import os
from pathlib import Path

from config.settings.env import Environment

SECRET_KEY = "bench"
INSTALLED_APPS = ["jobs", "django.contrib.contenttypes", "django.contrib.auth"]
*_REDIS, _DATABASE = os.environ["BENCH_STORE"].split()
DATABASES = {"default": Environment({"URL": _DATABASE}).database("URL", "", Path.cwd())}
JOBS = {"QUEUES": "esteira_jobs", "REDIS_URL": "".join(_REDIS), "NAMESPACE": "bench"}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = {
    "version": 1,
    "handlers": {"output": {"class": "logging.StreamHandler"}},
    "loggers": {"jobs": {"handlers": ["output"], "level": "WARNING"}},
}
