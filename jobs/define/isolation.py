"""A task of which each job runs in a process of its own: what its declaration must say."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidTask

#: MiB.
MOST_MEMORY = 1_048_576


@dataclass(frozen=True, slots=True)
class Isolation:
    """The limits of a job in a process of its own: seconds, and MiB of memory in use (None: no limit)."""

    timeout: float
    memory: int | None


def isolation_of(
    name: str, isolated: object, memory: object, *, timeout: float | None, atomic: bool
) -> Isolation | None:
    """What `@queue.task(isolated=, memory=)` says; None: the task's jobs run in threads. Raises `InvalidTask`."""
    if not isinstance(isolated, bool):
        raise InvalidTask(f"task {name}: isolated={isolated!r}: expected True or False")
    if not isolated:
        if memory is not None:
            text = "a thread has no memory of its own; add isolated=True"
            raise InvalidTask(f"task {name}: memory={memory!r} without isolated=True: {text}")
        return None
    if atomic:
        text = "the transaction is the worker's, and another process has no part in it; take one of them away"
        raise InvalidTask(f"task {name}: isolated=True and atomic=True: {text}")
    if timeout is None:
        text = "say after how many seconds its process is killed; on the task, or on its queue"
        raise InvalidTask(f"task {name}: isolated=True without timeout=: {text}")
    if memory is None:
        return Isolation(timeout, None)
    if not isinstance(memory, int) or isinstance(memory, bool) or not 1 <= memory <= MOST_MEMORY:
        text = f"expected a whole number of MiB from 1 to {MOST_MEMORY:,}"
        raise InvalidTask(f"task {name}: memory={memory!r}: {text}")
    return Isolation(timeout, memory)
