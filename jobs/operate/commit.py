"""When a broker hears of what people do: at once, or after the commit of the transaction that is open here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections, transaction

from ..broker import get_broker
from ..conf import jobs_settings


def with_broker(act: Callable[[], Any], expected: Any) -> Any:
    """Let the broker act now; one that stands outside the open transaction hears of it after the commit."""
    if get_broker().rows_are_the_queue or not connections[jobs_settings().database].in_atomic_block:
        return act()
    after_commit(act)
    return expected


def after_commit(act: Callable[[], Any]) -> None:
    """Act when the transaction that is open on the jobs' database has committed."""
    transaction.on_commit(act, using=jobs_settings().database, robust=True)
