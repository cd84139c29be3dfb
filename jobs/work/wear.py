"""When a worker process has done enough and another is to take its place: after so many jobs, or at such a size."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from .trees import memory_of

logger = logging.getLogger("jobs.worker")

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wear:
    """The limits of a worker process: jobs claimed in all, and MiB of memory in use; 0 is none."""

    most_jobs: int = 0
    most_memory: int = 0

    def __bool__(self) -> bool:
        return bool(self.most_jobs or self.most_memory)

    def possible(self, queue: str) -> Wear:
        """The same, without a limit of memory that a worker has reached before its first job."""
        size = (own_memory() or 0) / MIB
        if not self.most_memory or size < self.most_memory:
            return self
        text = "memory_limit_too_low queue=%s --max-memory=%d: a worker takes %d MiB before its first job; not replaced"
        logger.error(text, queue, self.most_memory, size)
        return replace(self, most_memory=0)

    def is_reached(self, claimed: int) -> bool:
        """Whether the process is worn out, which has claimed so many jobs."""
        if self.most_jobs and claimed >= self.most_jobs:
            return True
        return bool(self.most_memory) and (own_memory() or 0) >= self.most_memory * MIB


def own_memory() -> int | None:
    """Bytes of memory that this process has in use (RSS); None where the system does not tell."""
    return memory_of("self")
