"""Oban for Python: asynchronous jobs on PostgreSQL."""

import asyncio
import os
from datetime import timedelta

from notes import PAYLOAD, note
from oban import Oban, worker
from producing import serve


@worker(queue="bench", max_attempts=3)
class Job:
    """The work that all systems do."""

    async def process(self, job):
        """Pause where one is asked for, and note."""
        if job.args["milliseconds"]:
            await asyncio.sleep(job.args["milliseconds"] / 1000)
        note(job.args["number"])


def main():
    """Serve until standard input ends."""
    # under the name by which the workers import it
    from oban_jobs import Job

    loop = asyncio.new_event_loop()
    oban = loop.run_until_complete(_client())

    def new(number, milliseconds, **options):
        return Job.new({"number": number, "milliseconds": milliseconds, "payload": PAYLOAD}, **options)

    serve(
        one=lambda number, milliseconds: loop.run_until_complete(oban.enqueue(new(number, milliseconds))),
        later=lambda number, seconds: loop.run_until_complete(
            oban.enqueue(new(number, 0, schedule_in=timedelta(seconds=seconds)))
        ),
        bulk=lambda numbers, milliseconds: loop.run_until_complete(
            oban.enqueue_many([new(each, milliseconds) for each in numbers])
        ),
    )


async def _client():
    oban = Oban(pool=await Oban.create_pool(os.environ["BENCH_STORE"]))
    await oban.start()
    return oban


if __name__ == "__main__":
    main()
