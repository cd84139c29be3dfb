"""A queue and tasks for the tests of this room."""

from __future__ import annotations

from uuid import UUID

from jobs import Fixed, JobHandle, PermanentError, Queue, testing
from jobs.history import live

lane = Queue("life_lane", attempts=2, backoff=Fixed(0))
ran: list[tuple[str, int]] = []


@lane.task(name="life.note", personal=("secret",))
def note(name: str, number: int = 0, *, secret: str = "", person: UUID | None = None) -> None:
    ran.append((name, number))


@lane.task(name="life.fail")
def fail(name: str) -> None:
    if name != "good":
        raise PermanentError(f"{name} is not good")


def run_jobs() -> list[JobHandle]:
    """Run what is due on the lane, and let the history hear of it."""
    done = testing.run_jobs(queue=lane.name)
    live.hear()
    return done
