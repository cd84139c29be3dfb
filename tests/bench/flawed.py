"""A small job system on a file or on Redis, with flaws where they are asked for: the benchmark must not be deceived.

    flawed.py produce | work

FLAW, one or more with commas between: `lose=N` forgets job N, `twice=N` runs it twice at some distance, `late=SECONDS`
is so late with delayed jobs, `slow=SECONDS` pauses so long before each job, `commit=SECONDS` commits a job's end so
long after it, `die` ends the worker after a few jobs.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "peers" / "agents"))

from notes import work
from producing import serve
from redis import Redis

FLAWS = {name: value for name, _, value in (flaw.partition("=") for flaw in os.environ.get("FLAW", "").split(","))}


class InFile:
    """Jobs in the order in which they came, and numbers by name."""

    def __init__(self, url):
        self.path = Path(url.removeprefix("sqlite:///") + ".queue")
        self.path.touch()

    def put(self, jobs):
        with self.path.open("a") as file:
            file.write("".join(json.dumps(job) + "\n" for job in jobs))

    def jobs(self, since):
        return [json.loads(line) for line in self.path.read_text().splitlines()[since:]]

    def keep(self, name, number):
        Path(f"{self.path}.{name}.next").write_text(str(number))
        os.replace(f"{self.path}.{name}.next", f"{self.path}.{name}")

    def kept(self, name):
        place = Path(f"{self.path}.{name}")
        return int(place.read_text()) if place.exists() else 0


class InRedis:
    """The same."""

    def __init__(self, url):
        self.redis = Redis.from_url(url)

    def put(self, jobs):
        self.redis.rpush("queue", *[json.dumps(job) for job in jobs])

    def jobs(self, since):
        return [json.loads(line) for line in self.redis.lrange("queue", since, -1)]

    def keep(self, name, number):
        self.redis.set(name, number)

    def kept(self, name):
        return int(self.redis.get(name) or 0)


URL = os.environ["BENCH_STORE"]
STORE = InRedis(URL) if URL.startswith("redis") else InFile(URL)


def produce():
    serve(
        one=lambda number, milliseconds: STORE.put([(number, milliseconds, 0)]),
        later=lambda number, seconds: STORE.put([(number, 0, time.time() + seconds)]),
        bulk=lambda numbers, milliseconds: STORE.put([(number, milliseconds, 0) for number in numbers]),
        left=(lambda: len(STORE.jobs(0)) - STORE.kept("committed")) if "commit" in FLAWS else None,
        pause=lambda: STORE.keep("paused", 1),
        resume=lambda: STORE.keep("paused", 0),
    )


def worker():
    done, again, ended = STORE.kept("place"), None, []
    while True:
        for number, milliseconds, due in [] if STORE.kept("paused") else STORE.jobs(done):
            if "die" in FLAWS and done > 5:
                sys.exit("the worker has died of its flaw")
            time.sleep(max(0, due - time.time()))
            time.sleep(float(FLAWS.get("slow", 0)) + (float(FLAWS.get("late", 0)) if due else 0))
            if number != int(FLAWS.get("lose", -1)):
                work(number, milliseconds)
            if number == int(FLAWS.get("twice", -1)):
                again = time.time() + 0.3
            done += 1
            STORE.keep("place", done)
            ended.append(time.time())
            commit(ended)
        commit(ended)
        if again is not None and time.time() > again:
            work(int(FLAWS["twice"]), 0)
            again = None
        time.sleep(0.002)


def commit(ended):
    if "commit" in FLAWS:
        STORE.keep("committed", sum(time.time() - at >= float(FLAWS["commit"]) for at in ended))


if __name__ == "__main__":
    {"produce": produce, "work": worker}[sys.argv[1]]()
