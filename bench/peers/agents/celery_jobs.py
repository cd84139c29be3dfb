"""Celery on Redis, with late acknowledgement; what a dead worker held is given out again after half a minute."""

import os

from celery import Celery
from notes import PAYLOAD, work
from producing import serve

app = Celery("bench", broker=os.environ["BENCH_STORE"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    broker_transport_options={"visibility_timeout": 30},
)


@app.task(name="bench.job", autoretry_for=(Exception,), max_retries=2)
def job(number, milliseconds, payload):
    """The work that all systems do."""
    work(number, milliseconds)


if __name__ == "__main__":
    serve(
        one=lambda number, milliseconds: job.delay(number, milliseconds, PAYLOAD),
        later=lambda number, seconds: job.apply_async((number, 0, PAYLOAD), countdown=seconds),
    )
