"""Huey, on Redis or on SQLite as BENCH_STORE says."""

import os

from huey import RedisHuey, SqliteHuey
from notes import PAYLOAD, work
from producing import serve

_URL = os.environ["BENCH_STORE"]
if _URL.startswith("sqlite:///"):
    huey = SqliteHuey("bench", filename=_URL.removeprefix("sqlite:///"), results=False)
else:
    huey = RedisHuey("bench", url=_URL, results=False)


@huey.task(retries=2)
def job(number, milliseconds, payload):
    """The work that all systems do."""
    work(number, milliseconds)


if __name__ == "__main__":
    # under the name by which the consumer imports it, or its tasks have another
    import huey_jobs

    serve(
        one=lambda number, milliseconds: huey_jobs.job(number, milliseconds, PAYLOAD),
        later=lambda number, seconds: huey_jobs.job.schedule(args=(number, 0, PAYLOAD), delay=seconds),
    )
