"""Around every method of the database broker: once more where that helps, and one error where it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from django.db import Error, InterfaceError, OperationalError

from ... import clock
from ...errors import BrokerAway

if TYPE_CHECKING:
    from .connection import JobsDatabase

#: Deadlock and serialization failure: the server took everything back, so the trip can simply be made again.
_AGAIN = frozenset({"40P01", "40001"})
_TIMES = 5
#: The server takes nothing for now: it became a standby.
_READ_ONLY = "25006"

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


def reaching(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Raise `BrokerAway` when the database cannot be reached.

    Makes the trip again, outside the caller's transaction, when the server chose it to end a deadlock, and once when
    its connection broke: the server was restarted, or cut it. Every method may be repeated (see the contract).
    """

    @wraps(method)
    def trip(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        database: JobsDatabase = self._database  # type: ignore[attr-defined]
        broken = database.broken
        for time_left in range(_TIMES - 1, -1, -1):
            try:
                return method(self, *args, **kwargs)
            except Error as error:
                if not _is_away(error):
                    raise
                first_break = time_left == _TIMES - 1 and database.broken > broken
                again = first_break or _sqlstate(error) in _AGAIN
                if not again or not time_left or database.in_callers_transaction:
                    text = " ".join(str(error).split())
                    undone = database.broken == broken
                    raise BrokerAway(f"the jobs' database cannot be reached: {text}", undone=undone) from error
                if not first_break:
                    time.sleep(clock.random() * 0.02)
        raise AssertionError("not reached")

    return cast("Callable[Concatenate[S, P], R]", trip)


def _is_away(error: Error) -> bool:
    return isinstance(error, (OperationalError, InterfaceError)) or _sqlstate(error) == _READ_ONLY


def _sqlstate(error: Error) -> Any:
    return getattr(error.__cause__, "sqlstate", None)
