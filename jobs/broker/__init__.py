"""Where live jobs are kept: the project's own database, or Redis.

Before it: `jobs.enqueue`. After it: `jobs.work`, whose workers claim, run and settle.
"""

from __future__ import annotations

from functools import cache

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from ..conf import jobs_settings
from .contract import Broker


@cache
def get_broker() -> Broker:
    """The broker that the settings ask for; one object a process."""
    if jobs_settings().redis_url:
        text = _(
            "REDIS_URL is set, but this version has only the database broker: unset REDIS_URL (and REDIS_HOST) to start"
        )
        raise ImproperlyConfigured(text)
    from .database.broker import DatabaseBroker

    try:
        return DatabaseBroker(jobs_settings().database)
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        text = _("jobs are kept in PostgreSQL by psycopg 3, which is not installed: pip install 'psycopg[binary]'")
        raise ImproperlyConfigured(text) from error


def close_broker() -> None:
    """Close the broker's own connections, if there is a broker; its next call opens them again."""
    if get_broker.cache_info().currsize:
        get_broker().close()


def forget_broker() -> None:
    """Close the broker and forget it; the next `get_broker` makes a new one (tests, a changed database)."""
    close_broker()
    get_broker.cache_clear()
