"""A site for Django's tasks: on the database of BENCH_STORE, by the backend that BENCH_BACKEND names."""

import os
from urllib.parse import urlsplit

_BACKENDS = {
    "django_ox": {
        "BACKEND": "django_ox.backend.OxBackend",
        "QUEUES": [],
        "OPTIONS": {"MAX_ATTEMPTS": 3, "LOCK_TIMEOUT": 30},
    },
    "django_tasks_db": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": []},
}
_URL = urlsplit(os.environ["BENCH_STORE"])
if _URL.scheme == "sqlite":
    _DATABASE = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _URL.path,
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
    }
else:
    _DATABASE = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _URL.hostname,
        "PORT": _URL.port,
        "USER": _URL.username,
        "NAME": _URL.path.removeprefix("/"),
    }

SECRET_KEY = "bench"
INSTALLED_APPS = [os.environ["BENCH_BACKEND"]]
DATABASES = {"default": {**_DATABASE, "CONN_MAX_AGE": None}}
TASKS = {"default": _BACKENDS[os.environ["BENCH_BACKEND"]]}
USE_TZ = True
LOGGING = {"version": 1, "disable_existing_loggers": True, "root": {"handlers": [], "level": "ERROR"}}
