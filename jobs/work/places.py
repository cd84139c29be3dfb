"""How many jobs a pool runs at a time: one for each place, beside those that a job keeps past its time.

Such a thread cannot be stopped. Its place is filled with another one; when it comes back at last, there is one thread
too many, and whichever has nothing to do leaves. So they do when there are fewer places than before. All of it happens
under the pool's lock.
"""

from __future__ import annotations

from collections.abc import Container
from uuid import UUID


class Places:
    """The threads of a pool, and the jobs past their time whose places are filled anew.

    There are as many places as threads `coming` were started, or arrive; until `keep_to` says otherwise.
    """

    def __init__(self, coming: int = 0) -> None:
        self.threads = 0
        self.late: set[UUID] = set()
        self._number = self._coming = coming

    @property
    def has_surplus(self) -> bool:
        """Whether there are more threads than are needed."""
        return self.threads > self._number + len(self.late)

    def room(self, running: int) -> int:
        """For how many more jobs there are threads, beside so many that run."""
        return min(self.threads, self._number + len(self.late)) - running

    def keep_to(self, number: int) -> int:
        """Let there be so many places; returns how many threads are to be started for them."""
        self._number = number
        return self._missing()

    def fill(self, job: UUID, running: Container[UUID]) -> bool:
        """The place of this job is to be filled; whether it takes a thread more."""
        self.late.add(job)
        if job not in running:  # looked at after it was added: its thread looks the other way round
            self.late.discard(job)
            return False
        return self._missing() > 0

    def back(self, job: UUID) -> None:
        """The job has ended."""
        self.late.discard(job)

    def arrive(self) -> None:
        """A thread begins its work."""
        self.threads += 1
        if self._coming:
            self._coming -= 1
        elif self.threads > self._number:
            self._number += 1

    def expect_fewer(self, number: int) -> None:
        """So many threads were to be started and were not: they are missing again."""
        self._coming -= number

    def leave(self) -> None:
        """A thread ends it."""
        self.threads -= 1

    def _missing(self) -> int:
        missing = max(0, self._number + len(self.late) - self.threads - self._coming)
        self._coming += missing
        return missing
