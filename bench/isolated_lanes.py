"""The queue of `bench.isolated`: tasks that say how long after its claim a job has begun."""

from __future__ import annotations

from jobs import Queue, current_job

isolating = Queue("isolating", attempts=1, concurrency=1)


@isolating.task(name="bench.start_in_a_thread")
def start_in_a_thread() -> float:
    """Seconds since its claim."""
    return current_job().claimed.seconds_since_claim()


@isolating.task(name="bench.start_isolated", isolated=True, timeout=60)
def start_isolated() -> float:
    """The same in a process of its own."""
    return current_job().claimed.seconds_since_claim()


@isolating.task(name="bench.hang_isolated", isolated=True, timeout=0.5)
def hang_isolated() -> None:
    """Never ends by itself."""
    while True:
        pass
