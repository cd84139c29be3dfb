"""Where live jobs are kept: the project's own database, or Redis.

Before it: `jobs.enqueue`. After it: `jobs.work`, whose workers claim, run and settle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from ..conf import jobs_settings
from .contract import Broker

if TYPE_CHECKING:
    from .redis.left import LeftRedis

Kind = TypeVar("Kind")


@cache
def get_broker() -> Broker:
    """The broker that the settings ask for; one object a process."""
    return _make_broker()


def close_broker() -> None:
    """Close the broker's own connections, if there is a broker; its next call opens them again."""
    if get_broker.cache_info().currsize:
        get_broker().close()


def forget_broker() -> None:
    """Close the broker and forget it; the next `get_broker` makes a new one (tests, a changed database)."""
    close_broker()
    get_broker.cache_clear()


def left_redis(url: str) -> LeftRedis:
    """A Redis from which the jobs of the settings' namespace are to move; raises `ImproperlyConfigured`."""
    with _with_redis_py():
        from .redis.left import LeftRedis
    return _at_address(LeftRedis, url, "--from")


def _make_broker() -> Broker:
    if url := jobs_settings().redis_url:
        with _with_redis_py():
            from .redis.broker import RedisBroker
        return _at_address(RedisBroker, url, "settings.JOBS['REDIS_URL']")
    from .database.broker import DatabaseBroker

    try:
        return DatabaseBroker(jobs_settings().database)
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        text = _("jobs are kept in PostgreSQL by psycopg 3, which is not installed: pip install 'psycopg[binary]'")
        raise ImproperlyConfigured(text) from error


def _at_address(kind: Callable[..., Kind], url: str, said_in: str) -> Kind:
    from .database.markers import DatabaseMarkers

    try:
        return kind(url, jobs_settings().namespace, markers=DatabaseMarkers(jobs_settings().database))
    except ValueError:
        # the client's own sentence may quote a part of the password
        text = _(
            "%(where)s is no address of a Redis server: expected "
            "redis://[USER:PASSWORD@]HOST:PORT/NUMBER, rediss:// for TLS, unix:// for a socket or "
            "redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/SERVICE/NUMBER for Sentinels, "
            "with the special characters of a password percent-encoded"
        )
        raise ImproperlyConfigured(text % {"where": said_in}) from None


@contextmanager
def _with_redis_py() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        text = _("jobs are kept in Redis by redis-py, which is not installed: pip install 'redis>=6.4'")
        raise ImproperlyConfigured(text) from error
