"""Dramatiq on Redis; what a dead worker held is looked for more often than as it comes, and after half a minute."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from notes import PAYLOAD, work
from producing import serve

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_STORE"], heartbeat_timeout=30_000, maintenance_chance=20_000))


@dramatiq.actor(actor_name="job", max_retries=2)
def job(number, milliseconds, payload):
    """The work that all systems do."""
    work(number, milliseconds)


if __name__ == "__main__":
    serve(
        one=lambda number, milliseconds: job.send(number, milliseconds, PAYLOAD),
        later=lambda number, seconds: job.send_with_options(args=(number, 0, PAYLOAD), delay=round(seconds * 1000)),
    )
