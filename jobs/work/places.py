"""How many jobs a pool runs at a time: one for each of its threads, but for those that a job keeps past its time.

Such a thread cannot be stopped. Its place is filled with another one; when it comes back at last, it waits until it
is needed again. All of it happens under the pool's lock.
"""

from __future__ import annotations

from collections.abc import Container
from uuid import UUID


class Places:
    """The threads of a pool, and the jobs past their time whose places are filled anew."""

    def __init__(self) -> None:
        self.threads = 0
        self.late: set[UUID] = set()
        self._over = 0  # threads that came back to a place that was filled

    def room(self, running: int) -> int:
        """For how many more jobs there are threads, beside so many that run."""
        return self.threads - self._over - running

    def fill(self, job: UUID, running: Container[UUID]) -> bool:
        """The place of this job is to be filled; whether it takes a thread more."""
        self.late.add(job)
        if job not in running:  # looked at after it was added: its thread looks the other way round
            self.late.discard(job)
            return False
        if self._over:
            self._over -= 1
            return False
        return True

    def back(self, job: UUID) -> None:
        """The job has ended."""
        if job in self.late:
            self.late.discard(job)
            self._over += 1
