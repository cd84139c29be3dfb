"""The settings of a running site, from its environment; docs/configuration.md explains each variable."""

import os

import django
from django.core.exceptions import ImproperlyConfigured

from ..language import gettext as _
from .base import *  # noqa: F403
from .base import (
    BASE_DIR,
    FORM_LIMITS,
    IMPORT_KEEP_DAYS,
    IMPORT_MAX_MB,
    LANGUAGES,
    MIDDLEWARE,
    STALE_LEAD_DAYS,
)
from .env import Environment, mail_settings

env = Environment.of_site(os.environ, BASE_DIR)

# The site

DEBUG = env.boolean("DEBUG")
SECRET_KEY = env.text("SECRET_KEY", "development-only" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        _("SECRET_KEY is not set; give it 50 random characters, or set DEBUG=true for development (`make run` does)")
    )
#: Keys that were in use before: what they signed stays valid until they are taken away here.
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]") if DEBUG else ())
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
#: Links in mails begin with it: a worker knows no request to take the host from.
SITE_URL = env.web_address("SITE_URL") or (
    "http://localhost:8000" if DEBUG or not ALLOWED_HOSTS else f"https://{ALLOWED_HOSTS[0].lstrip('.')}"
)
#: For commands, and for readers whose browser names no language that the site speaks.
LANGUAGE_CODE = env.choice("LANGUAGE_CODE", tuple(code.upper() for code, _name in LANGUAGES), "EN").lower()
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SECURE_SSL_REDIRECT = env.boolean("SECURE_SSL_REDIRECT", not DEBUG)
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 0 if DEBUG else 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_SECONDS > 0
# browsers keep such a list for years, and the whole domain is on it: nobody's default
SECURE_HSTS_PRELOAD = env.boolean("SECURE_HSTS_PRELOAD")
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # Django's own advice to set it
if env.boolean("TRUST_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    MIDDLEWARE.insert(0, "config.proxy.ClientAddress")
if not DEBUG:  # under DEBUG, runserver finds the static files where they lie
    # behind the policy, which then holds for static files too
    after_policy = MIDDLEWARE.index("config.csp.ContentSecurityPolicy") + 1
    MIDDLEWARE.insert(after_policy, "whitenoise.middleware.WhiteNoiseMiddleware")
    WHITENOISE_ALLOW_ALL_ORIGINS = False
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }

# Data and jobs

DATABASES = {"default": env.database("DATABASE_URL", "sqlite:///var/esteira.sqlite3", BASE_DIR)}
JOBS = {
    "QUEUES": "config.queues",
    "SCOPE": "config.scopes.organization_of",
    "VISIBLE_SCOPES": "config.scopes.organizations_of",
    "NAMESPACE": env.text("JOBS_NAMESPACE", "esteira"),
    "REDIS_URL": env.redis(),
    "LEASE": env.seconds("JOBS_LEASE", 30),
    "GRACE": env.seconds("JOBS_GRACE", 30),
    "UNKNOWN_GRACE": env.seconds("JOBS_UNKNOWN_GRACE", 900),
    "SYNCHRONOUS_COMMIT": env.boolean("JOBS_SYNCHRONOUS_COMMIT", True),
    "ENCRYPTION_KEYS": env.words("JOBS_ENCRYPTION_KEYS"),
    "RELEASE": env.text("JOBS_RELEASE"),
    "METRICS_TOKEN": env.text("METRICS_TOKEN"),
    "METRICS_NETWORKS": [str(network) for network in env.networks("METRICS_NETWORKS")],
    "MAIL_ADMINS": env.boolean("JOBS_MAIL_ADMINS"),
    "ALLOW_NETWORK_FILE_SYSTEM": env.boolean("JOBS_ALLOW_NETWORK_FILE_SYSTEM"),
}
if JOBS["REDIS_URL"] and not DEBUG and not env.text("JOBS_NAMESPACE"):
    raise ImproperlyConfigured(
        _("JOBS_NAMESPACE is not set; with Redis in production it keeps this site's jobs apart from other sites' jobs")
    )

# Mail and providers

DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Esteira <no-reply@localhost>")
globals().update(mail_settings(env.mail_provider() or env.mail("EMAIL_URL", "filemail:///var/mail", BASE_DIR)))
#: Who gets mails about the site itself: before Django 6.0 each has a name, too.
ADMINS = env.words("ADMINS") if django.VERSION >= (6, 0) else [("", address) for address in env.words("ADMINS")]
CRM_WEBHOOK_URL = env.web_address("CRM_WEBHOOK_URL")
CRM_WEBHOOK_SECRET = env.text("CRM_WEBHOOK_SECRET")
#: What webhooks may reach beside the public internet; the CRM of `make demo` listens on this machine.
OUTGOING_PRIVATE_NETWORKS = env.networks("OUTGOING_PRIVATE_NETWORKS", ("127.0.0.0/8", "::1") if DEBUG else ())

SUBMISSION_KEEP_DAYS = env.integer("SUBMISSION_KEEP_DAYS", 0, highest=36_500)
IMPORT_MAX_MB = env.integer("IMPORT_MAX_MB", IMPORT_MAX_MB, highest=1_000)
IMPORT_KEEP_DAYS = env.integer("IMPORT_KEEP_DAYS", IMPORT_KEEP_DAYS, highest=36_500)
MAIL_KEEP_DAYS = env.integer("MAIL_KEEP_DAYS", 0, highest=36_500)
STALE_LEAD_DAYS = env.integer("STALE_LEAD_DAYS", STALE_LEAD_DAYS, highest=36_500)
FORM_LIMITS = {
    **FORM_LIMITS,
    "network": env.rate("FORM_LIMIT_NETWORK", "20/minute"),
    "form": env.rate("FORM_LIMIT_ORGANIZATION", "300/hour"),
    "recipient": env.rate("FORM_LIMIT_RECIPIENT", "3/day"),
}

# Logs: one line a fact, on standard error

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "jobs.command_line.LineFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "jobs.json_lines.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": env.choice("LOG_FORMAT", ("LINE", "JSON"), "LINE").lower(),
        },
        "nowhere": {"class": "logging.NullHandler"},
    },
    "root": {
        "handlers": ["console"],
        "level": env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
    },
    # Django's own handlers would say the same line again
    "loggers": {
        "django": {"handlers": [], "level": "INFO"},
        "django.db.backends": {"level": "INFO"},
        # a stray probe's host name is refused with 400; it need not fill the log with tracebacks
        "django.security.DisallowedHost": {"handlers": ["nowhere"], "propagate": False},
    },
}
