"""Enqueues on this project's side, outside transactions, as the others do."""

from functools import partial

import django
from notes import PAYLOAD
from producing import serve


def main():
    """Serve until standard input ends."""
    django.setup()
    from esteira_jobs import job

    from jobs import pause, resume
    from jobs.history.counters import totals

    enqueued = 0

    def one(number, milliseconds):
        nonlocal enqueued
        job.enqueue(number, milliseconds, PAYLOAD)
        enqueued += 1

    def later(number, seconds):
        nonlocal enqueued
        job.using(delay=seconds).enqueue(number, 0, PAYLOAD)
        enqueued += 1

    def bulk(numbers, milliseconds):
        nonlocal enqueued
        job.enqueue_many([(each, milliseconds, PAYLOAD) for each in numbers])
        enqueued += len(numbers)

    def left():
        return enqueued - totals("bench")["completed"]

    serve(one, later, bulk, left, partial(pause, "bench"), partial(resume, "bench"))


if __name__ == "__main__":
    main()
