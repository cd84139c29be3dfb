"""Reads settings from the environment: typed, strict about nonsense, and clear about which variable is wrong.

django-environ parses the URLs and the .env file. Reading single values is done here, because it takes a value that
begins with `$` for the name of another variable, an unknown boolean for False and an empty URL for no database.
"""

from __future__ import annotations

import ipaddress
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import django
import environ
from django.core.exceptions import ImproperlyConfigured

from emails.mail_providers import MAIL_PROVIDERS, MailProvider

from ..language import gettext as _

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}
PERIODS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = "django.db.backends.postgresql"
#: A host and a port of a Sentinel; and a service's address by some of them.
_SENTINEL = r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:,/?#@\s]+)(?::\d{1,5})?"
_BY_SENTINELS = re.compile(
    rf"(?:sentinel|rediss?\+sentinel)://(?:[^@/?#]*@)?{_SENTINEL}(?:,{_SENTINEL})*/[^/?#]+(?:/\d*)?(?:\?[^#]*)?"
)
#: What the query of a database's address may switch on and off.
_SWITCHES = ("ATOMIC_REQUESTS", "AUTOCOMMIT", "CONN_HEALTH_CHECKS", "DISABLE_SERVER_SIDE_CURSORS")
SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864;",
}


def read_file(path: Path) -> dict[str, str]:
    """What a .env file says; a file that is not there says nothing."""

    class File(environ.Env):  # type: ignore[misc]
        ENVIRON: dict[str, str] = {}

    try:
        with path.open(encoding="utf-8-sig") as file:
            File.read_env(file)
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        text = _("%(path)s cannot be read: %(error)s")
        raise ImproperlyConfigured(text % {"path": path, "error": error}) from None
    return File.ENVIRON


class Environment:
    """Variables by name. Spaces around a value do not count; an empty value counts as none."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables

    @classmethod
    def of_site(cls, variables: Mapping[str, str], folder: Path) -> Environment:
        """The process's variables, which win over those of the .env file in `folder` (or of `ENV_FILE`)."""
        given = cls(variables)
        path = folder / given.text("ENV_FILE", ".env")
        filled = {name: value for name, value in variables.items() if value.strip()}
        return cls({**read_file(path), **filled})

    def text(self, name: str, default: str = "") -> str:
        """The value as it stands."""
        return self.variables.get(name, "").strip() or default

    def boolean(self, name: str, default: bool = False) -> bool:
        """True or False; anything but the known words is refused."""
        value = self.text(name).lower()
        if not value:
            return default
        if value in TRUE | FALSE:
            return value in TRUE
        raise _wrong(_("%(setting)s is neither true nor false; write one of these words"), name, value)

    def integer(self, name: str, default: int, *, lowest: int = 0, highest: int = 2**31) -> int:
        """A whole number within bounds."""
        value = self.text(name)
        if not value:
            return default
        try:
            number = int(value)
        except ValueError:
            raise _wrong(_("%(setting)s is not a whole number"), name, value) from None
        if not lowest <= number <= highest:
            refusal = _("%(setting)s: expected %(lowest)d to %(highest)d")
            raise _wrong(refusal, name, value, lowest=lowest, highest=highest)
        return number

    def seconds(self, name: str, default: float) -> float:
        """A length of time in seconds; the engine checks its bounds."""
        value = self.text(name)
        if not value:
            return default
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number < 0:
            raise _wrong(_("%(setting)s is not a number of seconds"), name, value)
        return number

    def rate(self, name: str, default: str) -> tuple[int, int]:
        """How many in how many seconds, written like 20/minute."""
        value = self.text(name, default)
        number, _slash, period = value.partition("/")
        if not number.strip().isdecimal() or int(number) < 1 or period.strip().lower() not in PERIODS:
            raise _wrong(
                _("%(setting)s is not a number for a second, minute, hour or day, like 20/minute"), name, value
            )
        return int(number), PERIODS[period.strip().lower()]

    def words(self, name: str, default: tuple[str, ...] = ()) -> list[str]:
        """A list, separated by commas."""
        return [word.strip() for word in self.text(name).split(",") if word.strip()] or list(default)

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of a few words, in capitals."""
        value = self.text(name, default).upper()
        if value not in choices:
            raise _wrong(_("%(setting)s is not one of: %(choices)s"), name, value, choices=", ".join(choices))
        return value

    def web_address(self, name: str, default: str = "") -> str:
        """An http or https address without the slash at its end, or nothing."""
        value = self.text(name, default)
        if not value:
            return ""
        try:
            parts = urlsplit(value)
            fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        if not fits:
            raise _wrong(_("%(setting)s is not an address like https://example.org"), name, value)
        return value.rstrip("/")

    def networks(self, name: str, default: tuple[str, ...] = ()) -> list[Network]:
        """A list of networks like 10.1.2.0/24, or single addresses."""
        try:
            return [ipaddress.ip_network(word) for word in self.words(name, default)]
        except ValueError:
            refusal = _("%(setting)s is not a list of networks like 10.1.2.0/24")
            raise _wrong(refusal, name, self.text(name)) from None

    def database(self, name: str, default: str, folder: Path) -> dict[str, Any]:
        """One entry of DATABASES. A relative SQLite path starts at `folder`; SQLite runs in WAL mode."""
        like = _("a database address like sqlite:///file.sqlite3 or postgres://user:password@host/name")
        with _naming(name, like):
            config: dict[str, Any] = environ.Env.db_url_config(self.text(name, default))
            options = config.get("OPTIONS", {})
            if config.get("ENGINE") == SQLITE:
                if config["NAME"] == ":memory:":
                    raise _Unfit(_("the workers are other processes and cannot see a database in memory"))
                return {
                    "ENGINE": SQLITE,
                    "NAME": folder / config["NAME"],
                    "OPTIONS": {**SQLITE_OPTIONS, **options},
                }
            if config.get("ENGINE") != POSTGRESQL or not config["NAME"]:
                raise _Unfit(_("only SQLite and PostgreSQL can hold the jobs"))
            if options:
                config["OPTIONS"] = {key: _plain(value) for key, value in options.items()}
            for name in _SWITCHES:
                config |= {name: _plain(config[name])} if name in config else {}
                if not isinstance(config.get(name, True), bool):
                    raise _Unfit(_("%(name)s is true or false") % {"name": name.lower()})
        return {"CONN_HEALTH_CHECKS": True, **config}

    def mail(self, name: str, default: str, folder: Path) -> dict[str, Any]:
        """A mail backend as Django 6.1's `MAILERS` describes it: its class and its options."""
        with _naming(name, _("a mail address like smtp+tls://user:password@host:587 or resend://KEY")):
            config: dict[str, Any] = environ.Env.email_url_config(self.text(name, default))
            backend: str = config["EMAIL_BACKEND"]
            kind = backend.split(".")[-2]
            if kind == "filebased":
                return {"BACKEND": backend, "OPTIONS": {"file_path": str(folder / config["EMAIL_FILE_PATH"])}}
            if kind != "smtp":
                return {"BACKEND": backend, "OPTIONS": {}}
            if not config["EMAIL_HOST"]:
                raise _Unfit(_("it names no host"))
            tls, ssl = bool(config.get("EMAIL_USE_TLS")), bool(config.get("EMAIL_USE_SSL"))
            return {
                "BACKEND": backend,
                "OPTIONS": {
                    "host": config["EMAIL_HOST"],
                    "port": config["EMAIL_PORT"] or (465 if ssl else 587 if tls else 25),
                    "username": config["EMAIL_HOST_USER"] or "",
                    "password": config["EMAIL_HOST_PASSWORD"] or "",
                    "use_tls": tls,
                    "use_ssl": ssl,
                    "timeout": 20,
                },
            }

    def mail_provider(self) -> MailProvider | None:
        """The mail service that `EMAIL_URL` names, as `resend://KEY?option=value`; None where it names none."""
        address = self.text("EMAIL_URL")
        scheme, _colon, rest = address.partition("://")
        name = scheme.lower().replace("-", "_")
        if name not in MAIL_PROVIDERS:
            return None
        kind = MAIL_PROVIDERS[name]
        with _naming("EMAIL_URL", _("a mail service and the key of its API like resend://KEY")):
            parts = urlsplit(f"//{rest}")
            key = unquote(parts.netloc)
            if not key or parts.path.strip("/"):
                raise _Unfit(_("it holds no key, or a / that is not written as %2F"))
            options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
            if missing := [option for option in kind.needs if not options.get(option)]:
                raise _Unfit(_("this service needs more: ?%(options)s=…") % {"options": "=…&".join(missing)})
        signing_key, secret = self.text("EMAIL_WEBHOOK_KEY"), self.text("EMAIL_WEBHOOK_SECRET")
        with _naming("EMAIL_WEBHOOK_KEY", _("the key that the mail service shows beside its webhook")):
            if signing_key and kind.check_signing_key is None:
                raise _Unfit(_("this service's webhooks are known by EMAIL_WEBHOOK_SECRET"))
            if signing_key and kind.check_signing_key is not None:
                kind.check_signing_key(signing_key)
        with _naming("EMAIL_WEBHOOK_SECRET", _("a name and a password like name:password")):
            if secret and not all(secret.partition(":")):
                raise _Unfit(_("it is not two words with a colon between them"))
        return MailProvider(name, kind.backend, {kind.key: key, **options}, signing_key, secret)

    def redis(self) -> str:
        """`REDIS_URL`, or an address made of `REDIS_HOST`, `REDIS_PORT` and `REDIS_PASSWORD`; nothing if unset."""
        if host := self.text("REDIS_HOST"):
            if self.text("REDIS_URL"):
                raise ImproperlyConfigured(_("REDIS_URL and REDIS_HOST are both set; keep one of them"))
            password = self.text("REDIS_PASSWORD")
            signed = f":{quote(password, safe='')}@" if password else ""
            bracketed = f"[{host}]" if ":" in host else host
            return f"redis://{signed}{bracketed}:{self.integer('REDIS_PORT', 6379, lowest=1, highest=65535)}/0"
        url = self.text("REDIS_URL")
        if url.startswith("valkey"):
            url = "redis" + url.removeprefix("valkey")
        if "sentinel" in url.partition(":")[0]:
            expected = _("Sentinels and their service like redis+sentinel://:password@host:26379,host:26379/service/0")
            with _naming("REDIS_URL", expected):
                if not _BY_SENTINELS.fullmatch(url):
                    raise ValueError
            return url
        with _naming("REDIS_URL", _("a Redis address like redis://:password@host:6379/0 (encode / and #)")):
            parts = urlsplit(url)
            database = parts.path.strip("/")
            if url and (parts.scheme not in {"redis", "rediss", "unix"} or parts.port == 0):
                raise _Unfit(_("unknown scheme or port"))
            if url and parts.scheme != "unix" and (not parts.hostname or (database and not database.isdecimal())):
                raise _Unfit(_("no host, or a database that is not a number"))
        return url


def mail_settings(way: dict[str, Any] | MailProvider) -> dict[str, Any]:
    """The settings that state how mail leaves: Django 6.1 refuses `EMAIL_*` beside `MAILERS`, 5.2 knows no `MAILERS`.

    `MAIL_FOLDER` is ours: where the file backend writes, or nothing. So is `MAIL_PROVIDER`: the mail service, or None.
    """
    provider = way if isinstance(way, MailProvider) else None
    backend: dict[str, Any]
    backend = {"BACKEND": way.backend, "OPTIONS": way.options} if isinstance(way, MailProvider) else way
    ours = {"MAIL_FOLDER": backend["OPTIONS"].get("file_path"), "MAIL_PROVIDER": provider}
    if django.VERSION >= (6, 1):
        return {**ours, "MAILERS": {"default": backend}}
    if provider is not None:
        of_anymail = {f"{provider.name}_{name}".upper(): value for name, value in provider.options.items()}
        return {**ours, "EMAIL_BACKEND": provider.backend, "ANYMAIL": of_anymail}
    old_names = {"username": "EMAIL_HOST_USER", "password": "EMAIL_HOST_PASSWORD"}
    options = {old_names.get(name, f"EMAIL_{name.upper()}"): value for name, value in backend["OPTIONS"].items()}
    return {**ours, "EMAIL_BACKEND": backend["BACKEND"], **options}


def _wrong(refusal: str, name: str, value: str, **values: object) -> ImproperlyConfigured:
    return ImproperlyConfigured(refusal % {"setting": f"{name}={value!r}", **values})


class _Unfit(ValueError):
    """A value that cannot be used; the message says why and holds no part of the value."""


@contextmanager
def _naming(name: str, expected: str) -> Iterator[None]:
    """Turn whatever goes wrong inside into one sentence that names the variable, and never its value (a password)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    except _Unfit as error:
        text = _("%(name)s cannot be used: %(error)s; expected %(expected)s")
        raise ImproperlyConfigured(text % {"name": name, "error": error, "expected": expected}) from None
    except (ValueError, LookupError, TypeError, Warning, ImproperlyConfigured):
        text = _("%(name)s cannot be used: expected %(expected)s")
        raise ImproperlyConfigured(text % {"name": name, "expected": expected}) from None


def _plain(value: Any) -> Any:
    """A query option as Python means it: `pool=true` is True, not a word."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value
