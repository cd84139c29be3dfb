"""Enqueues into Django's tasks framework; many at once where the backend can."""

import os
from datetime import timedelta

import django
from notes import PAYLOAD
from producing import serve


def main():
    """Serve until standard input ends."""
    django.setup()
    from django.utils import timezone
    from django_tasks_jobs import job

    bulk = None
    if os.environ["BENCH_BACKEND"] == "django_ox":
        from django_ox.bulk import enqueue_many

        def bulk(numbers, milliseconds):
            enqueue_many(job, [((each, milliseconds, PAYLOAD), {}) for each in numbers])

    serve(
        one=lambda number, milliseconds: job.enqueue(number, milliseconds, PAYLOAD),
        later=lambda number, seconds: job.using(run_after=timezone.now() + timedelta(seconds=seconds)).enqueue(
            number, 0, PAYLOAD
        ),
        bulk=bulk,
    )


if __name__ == "__main__":
    main()
