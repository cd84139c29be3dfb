"""Procrastinate on PostgreSQL: asynchronous jobs, and its documented task that retries what a dead worker held.

procrastinate_jobs.py prepare | produce | work CONCURRENCY
"""

import asyncio
import os

from notes import PAYLOAD, note
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from producing import serve

URL = os.environ["BENCH_STORE"]
app = App(connector=PsycopgConnector(conninfo=URL))


@app.task(name="bench.job", queue="bench", retry=2)
async def job(number, milliseconds, payload):
    """The work that all systems do."""
    if milliseconds:
        await asyncio.sleep(milliseconds / 1000)
    note(number)


@app.periodic(cron="* * * * *")
@app.task(name="bench.retry_stalled", queue="bench", queueing_lock="retry_stalled", pass_context=True)
async def retry_stalled(context, timestamp):
    """What the documentation has one write: jobs whose worker gives no heartbeat run again."""
    for stalled in await app.job_manager.get_stalled_jobs():
        await app.job_manager.retry_job(stalled)


def main(what, *options):
    """Do what the command says."""
    if what == "work":
        app.run_worker(queues=["bench"], concurrency=int(options[0]))
        return
    with app.replace_connector(SyncPsycopgConnector(conninfo=URL)) as client, client.open():
        if what == "prepare":
            client.schema_manager.apply_schema()
            return
        serve(
            one=lambda number, milliseconds: job.defer(number=number, milliseconds=milliseconds, payload=PAYLOAD),
            later=lambda number, seconds: job.configure(schedule_in={"seconds": seconds}).defer(
                number=number, milliseconds=0, payload=PAYLOAD
            ),
            bulk=lambda numbers, milliseconds: job.batch_defer(
                *[{"number": each, "milliseconds": milliseconds, "payload": PAYLOAD} for each in numbers]
            ),
        )
