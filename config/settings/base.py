"""What is the same everywhere; nothing here reads the environment."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parents[2]
INSTALLED_APPS = [
    "jobs",
    "leads",
    "notifications",
    "emails",
    "accounts",
    "admin_lists",
    "accounts.admin_config.MembersAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "config.health.HealthCheck",
    "jobs.metrics.access.MetricsMiddleware",
    "jobs.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.csp.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.charset.KnownCharset",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
CSRF_FAILURE_VIEW = "leads.views.csrf_failure"
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"  # `manage.py collectstatic` fills it; part of the release, not of the data in var/
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("pt-br", "Português (Brasil)")]
LOCALE_PATHS = [BASE_DIR / "locale"]
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "accounts.roles.RoleBackend"]
#: What owners, managers and agents may do.
ROLES = "config.roles.ROLES"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
#: Seconds that the link of a password reset works.
PASSWORD_RESET_TIMEOUT = 86_400
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
X_FRAME_OPTIONS = "DENY"
#: Days that submissions are kept beside the leads made of them; 0: for ever.
SUBMISSION_KEEP_DAYS = 0
#: The largest file of leads that can be imported, in megabytes.
IMPORT_MAX_MB = 50
#: Days that the wrong rows of an import can be downloaded.
IMPORT_KEEP_DAYS = 30
#: Days that the content of mails is kept; 0: for ever.
MAIL_KEEP_DAYS = 0
#: Days after which an open lead that nobody touches counts as stale; 0: none does.
STALE_LEAD_DAYS = 14
#: What strangers may set off: how many, in so many seconds. An IPv6 network is a /64.
FORM_LIMITS = {
    "network": (20, 60),  # forms sent by one network
    "form": (300, 3_600),  # forms sent to one organization
    "recipient": (3, 86_400),  # mails to one address that somebody gave in a form
    "invitation": (100, 86_400),  # invitations mailed by one organization,
    "invitation_address": (5, 86_400),  # to one address
    "sign_in": (5, 300),  # failed attempts to sign in: one address from one network,
    "sign_in_network": (50, 900),  # one network,
    "sign_in_address": (100, 86_400),  # one address from anywhere
    "reset_address": (3, 3_600),  # mails with a link for a new password to one address,
    "reset_network": (20, 3_600),  # asked for by one network
}
