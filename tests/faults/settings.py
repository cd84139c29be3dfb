"""Settings of the processes that the fault tests start, from the variables that `harness.Site` sets."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *  # noqa: F403
from config.settings.base import INSTALLED_APPS
from config.settings.env import Environment

FOLDER = Path(os.environ["FAULTS_FOLDER"])
if (FOLDER / "broken").exists():
    raise ImproperlyConfigured("the file 'broken' exists")
SECRET_KEY = "faults"
DEBUG = os.environ.get("FAULTS_DEBUG") == "1"
if DEBUG:
    BASE_DIR = FOLDER  # what is watched
INSTALLED_APPS = [
    "tests.faults.app",
    *(app for app in INSTALLED_APPS if app in ("jobs", "admin_lists") or app.startswith("django.")),
    "django.contrib.admin",
]
# the product's own are not installed here
AUTH_USER_MODEL = "auth.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
ROOT_URLCONF = "tests.faults.app.urls"
CSRF_FAILURE_VIEW = "django.views.csrf.csrf_failure"  # the product's is not installed here
DATABASES = {
    "default": Environment(os.environ).database("FAULTS_DATABASE", f"sqlite:///{FOLDER}/jobs.sqlite3", FOLDER),
}
JOBS = {
    "QUEUES": "tests.faults.app.queues",
    "LEASE": float(os.environ.get("FAULTS_LEASE", "2")),
    "GRACE": float(os.environ.get("FAULTS_GRACE", "10")),
    "REDIS_URL": os.environ.get("FAULTS_REDIS", ""),
    "NAMESPACE": os.environ.get("FAULTS_NAMESPACE", "faults"),
    "FAULT_POINTS": "tests.faults.app.traps.strike" if (FOLDER / "traps").exists() else "",
}
if level := os.environ.get("FAULTS_BROKEN_LOGS"):
    from tests.faults.app.loggers import configure

    LOGGING = configure(level)
#: The longest pause of a supervisor before it starts a dead child anew, in seconds.
RESTART_PAUSE = float(os.environ.get("FAULTS_RESTART_PAUSE", "30"))
#: How far this process's clock is known to be wrong, in seconds: the ledger is kept in true time.
CLOCK_ERROR = float(os.environ.get("FAULTS_CLOCK_ERROR", "0"))
