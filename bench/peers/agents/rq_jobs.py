"""RQ on Redis; results are not kept."""

import os
from datetime import timedelta

from notes import PAYLOAD, work
from producing import serve
from redis import Redis
from rq import Queue, Retry

queue = Queue("bench", connection=Redis.from_url(os.environ["BENCH_STORE"]))


def job(number, milliseconds, payload):
    """The work that all systems do."""
    work(number, milliseconds)


if __name__ == "__main__":
    OPTIONS = {"retry": Retry(max=2), "result_ttl": 0}
    serve(
        one=lambda number, milliseconds: queue.enqueue("rq_jobs.job", number, milliseconds, PAYLOAD, **OPTIONS),
        later=lambda number, seconds: queue.enqueue_in(
            timedelta(seconds=seconds), "rq_jobs.job", number, 0, PAYLOAD, **OPTIONS
        ),
        bulk=lambda numbers, milliseconds: queue.enqueue_many(
            [Queue.prepare_data("rq_jobs.job", (each, milliseconds, PAYLOAD), **OPTIONS) for each in numbers]
        ),
    )
