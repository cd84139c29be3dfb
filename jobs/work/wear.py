"""When a worker process has done enough and another is to take its place: after so many jobs, or at such a size."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wear:
    """The limits of a worker process: jobs claimed in all, and MiB of memory in use; 0 is none."""

    most_jobs: int = 0
    most_memory: int = 0

    def __bool__(self) -> bool:
        return bool(self.most_jobs or self.most_memory)

    def is_reached(self, claimed: Callable[[], int]) -> bool:
        """Whether the process is worn out."""
        if self.most_jobs and claimed() >= self.most_jobs:
            return True
        return bool(self.most_memory) and (own_memory() or 0) >= self.most_memory * MIB


def own_memory() -> int | None:
    """Bytes of memory that this process has in use (RSS); None where the system does not tell.

    Source: proc(5), `/proc/self/statm`, the second number, in pages.
    """
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
