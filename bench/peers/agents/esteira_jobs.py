"""The queue of this project's side: three attempts, the default retention."""

from notes import work

from jobs import Queue

bench = Queue("bench", attempts=3, concurrency=10)


@bench.task(name="bench.job")
def job(number: int, milliseconds: int, payload: str) -> None:
    """The work that all systems do."""
    work(number, milliseconds)
