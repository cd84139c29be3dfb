"""How old the history is, for the pages and lists that show it."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import npgettext

from ..broker import get_broker
from ..broker.facts import Lag
from ..errors import BrokerAway
from . import live
from .lookup import Capped
from .verdict import duration

#: From so many seconds on a page says how old the history is: a keeper merges twice a second.
TOLD_FROM = 5.0


def history_note(queues: Sequence[str] | None = None) -> str:
    """What the reader of a list or page must know of the history of these queues, or all; empty: it is up to date."""
    broker = get_broker()
    if broker.rows_are_the_queue:
        return ""
    try:
        lag = live.whole_lag([live.lag(name) for name in (broker.queues() if queues is None else queues)])
    except BrokerAway as error:
        text = _("The broker is away (%(error)s): jobs are shown as the history last knew them.")
        return text % {"error": error}
    return behind(lag) if lag.seconds >= TOLD_FROM else ""


def behind(lag: Lag) -> str:
    """How far the history is behind."""
    text = npgettext(
        "history",
        "The history is %(time)s behind: %(count)s fact waits for it.",
        "The history is %(time)s behind: %(count)s facts wait for it.",
        lag.facts,
    )
    return text % {"time": duration(lag.seconds), "count": Capped(lag.facts, more=lag.more)}
