"""Settings of the benchmarks that start a `run_huey`: the engine alone, on the database of BENCH_DATABASE."""

import os
from pathlib import Path

from config.settings.env import Environment

FOLDER = Path(os.environ["BENCH_NOTES"]).parent
SECRET_KEY = "bench"
INSTALLED_APPS = ["jobs", "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.admin"]
DATABASES = {"default": Environment(os.environ).database("BENCH_DATABASE", f"sqlite:///{FOLDER}/bench.sqlite3", FOLDER)}
JOBS = {
    "QUEUES": os.environ.get("BENCH_QUEUES", "bench.lanes"),
    "REDIS_URL": os.environ.get("BENCH_REDIS", ""),
    "NAMESPACE": f"bench-{FOLDER.name}",
}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = {
    "version": 1,
    "handlers": {"file": {"class": "logging.FileHandler", "filename": FOLDER / "log"}},
    "loggers": {"jobs": {"handlers": ["file"], "level": "INFO"}},
}
