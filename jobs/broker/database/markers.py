"""The markers of atomic tasks whose broker is not the jobs' database (G3); see `jobs.broker.contract`.

Everything runs on the connection of the caller's thread, in the transaction of its task.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ... import reasons
from ...errors import BrokerAway, RetryLater
from ..records import ClaimedJob, Completed
from .statements import load_statements
from .values import text_of

#: For how many seconds a start waits for the transaction of an earlier one, and after how many it looks again.
PATIENCE, AGAIN = 5.0, 5.0
#: Another start's transaction was not over in time; or it was, but this one's isolation shows it nothing of that.
_NOT_OVER = frozenset({"55P03", "40001", "40P01"})

P = ParamSpec("P")
R = TypeVar("R")


def _reaching(
    method: Callable[Concatenate[DatabaseMarkers, P], R],
) -> Callable[Concatenate[DatabaseMarkers, P], R]:
    @wraps(method)
    def trip(self: DatabaseMarkers, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except (OperationalError, InterfaceError) as error:
            text = " ".join(str(error).split())
            raise BrokerAway(f"the jobs' database cannot be reached: {text}") from error

    return trip


class DatabaseMarkers:
    """The markers in the database of one alias."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    @_reaching
    def begin(self, job: ClaimedJob) -> Completed | None:
        """Insert the job's marker, or say how an earlier start ended; see the contract.

        On PostgreSQL it waits for an earlier start that is not over. On SQLite the transaction itself has waited.
        """
        connection = self._in_transaction()
        values = {
            "job": job.id.hex,
            "run": job.run,
            "queue": job.queue,
            "claimed_at": text_of(job.claimed_at),
            "patience": f"{PATIENCE:g}s",
        }
        try:
            if self._run(connection, "insert_marker", **values):
                return None
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _NOT_OVER:
                raise
            raise RetryLater(AGAIN, reason=reasons.RUNS_ELSEWHERE) from error
        found = self._run(connection, "read_marker", job=job.id.hex)
        if not found:
            raise RetryLater(AGAIN, reason=reasons.RUNS_ELSEWHERE)
        return Completed(found[0][0], reasons.COMMITTED_BEFORE)

    @_reaching
    def complete(self, job: ClaimedJob, result: str | None) -> None:
        """Add the job's result to its marker."""
        self._run(self._in_transaction(), "complete_marker", job=job.id.hex, result=result)

    @_reaching
    def is_there(self, job: ClaimedJob) -> bool:
        """Whether the job's marker is committed; to be asked outside its transaction."""
        return bool(self._run(connections[self._alias], "read_marker", job=job.id.hex))

    def _in_transaction(self) -> BaseDatabaseWrapper:
        connection = connections[self._alias]
        if not connection.in_atomic_block:
            raise transaction.TransactionManagementError(
                f"an atomic task needs an open transaction.atomic(using={self._alias!r})"
            )
        return connection

    @staticmethod
    def _run(connection: BaseDatabaseWrapper, statement: str, **values: Any) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(load_statements(connection.vendor)[statement], values)
            return cursor.fetchall() if cursor.description else []
