"""Settings of the test suite. Whatever the developer's shell or .env says of a site is not read here.

SQLite in a file, since threads and child processes must see it. `TEST_DATABASE_URL` names another database,
`TEST_DATABASE_NAME` the file in which the suite makes its own.
"""

import os
from ipaddress import ip_network

from .base import *  # noqa: F403
from .base import BASE_DIR
from .env import POSTGRESQL, Environment, mail_settings

env = Environment(os.environ)

DEBUG = False
SECRET_KEY = "test"
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
DATABASES = {"default": env.database("TEST_DATABASE_URL", "sqlite:///var/test-site.sqlite3", BASE_DIR)}
if DATABASES["default"]["ENGINE"] == POSTGRESQL:
    DATABASES["default"]["TEST"] = {"NAME": "test_esteira"}
    # public before pg_catalog: the broker's tests hide the server's clock behind one of their own
    DATABASES["default"].setdefault("OPTIONS", {})["options"] = "-c search_path=public,pg_catalog"
else:
    DATABASES["default"]["TEST"] = {"NAME": env.text("TEST_DATABASE_NAME") or BASE_DIR / "var" / "test.sqlite3"}
# a second database, to see that jobs are refused in its transactions
DATABASES["other"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "TEST": {"MIGRATE": False}}
JOBS = {
    "QUEUES": "config.queues",
    "STRICT": True,
    "SCOPE": "config.scopes.organization_of",
    "VISIBLE_SCOPES": "config.scopes.organizations_of",
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_FROM_EMAIL = SERVER_EMAIL = "Esteira <no-reply@example.org>"
globals().update(mail_settings({"BACKEND": "django.core.mail.backends.locmem.EmailBackend", "OPTIONS": {}}))
CRM_WEBHOOK_URL = CRM_WEBHOOK_SECRET = ""
OUTGOING_PRIVATE_NETWORKS = [ip_network("127.0.0.0/8")]  # where the tests' own servers listen
SITE_URL = "http://localhost:8000"
