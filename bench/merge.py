"""What it costs to merge the facts of Redis into SQL: facts that retention drops at once, and facts that cost a row.

    .venv/bin/python -m bench.merge [--vendor sqlite|postgresql] [--jobs 10000]

Prints facts per second and µs of CPU a fact of the merging process. Servers of its own, gone afterwards.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.broker.records import Outcome

JOBS = 10_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vendor", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--jobs", type=int, default=JOBS)
    options = parser.parse_args()
    from bench.bulk import own_databases
    from tests.servers import RedisServer

    server = RedisServer.create()
    server.start()
    try:
        with own_databases(options.vendor, ["merge"]) as urls:
            os.environ.update(DATABASE_URL=urls["merge"], DJANGO_SETTINGS_MODULE="config.settings.site", DEBUG="true")
            measure(server.url(), options.jobs)
    finally:
        server.remove()


def measure(redis: str, jobs: int) -> None:
    """The same facts, merged with the default retention and with one that keeps everything."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from jobs.broker.redis.broker import RedisBroker
    from jobs.keep.merge import Forgetting, merge_queue
    from jobs.policy import QueuePolicy, Retention
    from tests.contract.hands import Hands

    call_command("migrate", verbosity=0)
    for name, kept in (("dropped", 0), ("default_retention", 1_000), ("kept", 100_000_000)):
        broker = RedisBroker(redis, f"bench-{name}")
        hands = Hands(broker)
        for start in range(0, jobs, 1_000):
            hands.push_all([hands.new_job() for _ in range(min(1_000, jobs - start))])
        while claimed := hands.claim(10):
            hands.exchange(*(hands.settlement(job, _completed()) for job in claimed), wanted=0)
        policy = QueuePolicy("lane", retention=Retention(completed=kept))
        began, cpu, merged = time.perf_counter(), time.process_time(), 0
        while taken := merge_queue(broker, policy, Forgetting()):
            merged += taken
        took, used = time.perf_counter() - began, time.process_time() - cpu
        print(f"{name:<20}{merged / took:>10,.0f} facts/s{used / merged * 1e6:>8.1f} µs of CPU a fact", flush=True)
        with connections["default"].cursor() as cursor:
            for table in ("attempt", "job", "queuestate", "taskstat"):
                cursor.execute(f"DELETE FROM jobs_{table}")
        broker.close()


def _completed() -> Outcome:
    from jobs.broker.records import Completed

    return Completed()


if __name__ == "__main__":
    main()
