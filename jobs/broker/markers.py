"""What a store that is not the jobs' database asks of that database for atomic tasks."""

from __future__ import annotations

from typing import Protocol

from .records import ClaimedJob, Completed


class Markers(Protocol):
    """What a store that is not the jobs' database needs of that database for atomic tasks (G3).

    A marker is a row, written in the transaction of an atomic task, that tells every later start of the job that this
    transaction has committed, until the history has the job's end. Each method raises `BrokerAway` where the database
    cannot be reached.
    """

    def begin(self, job: ClaimedJob) -> Completed | None:
        """Insert the job's marker; see `Broker.begin_atomic`."""

    def complete(self, job: ClaimedJob, result: str | None) -> None:
        """Add the job's result to its marker."""

    def is_there(self, job: ClaimedJob) -> bool:
        """Whether the job's marker is committed."""
