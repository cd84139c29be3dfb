"""A process that enqueues what the lines of its standard input ask for; standard library only, for every peer's Python.

A line is a JSON object with `do`; the answer is a line as well. A peer gives its own calls:
`one(number, milliseconds)`, `later(number, seconds)`, and, where the system has it, `bulk(numbers, milliseconds)`,
`left()`, the jobs whose end is not committed yet, and `pause()` and `resume()`, for the queue.
"""

import json
import random
import sys
import time

CHUNK = 1_000


def serve(one, later, bulk=None, left=None, pause=None, resume=None):
    """Answer each line until standard input ends."""

    def do_one(first, count, seconds, milliseconds=0):
        began = time.perf_counter()
        done = 0
        while done < count and time.perf_counter() - began < seconds:
            one(first + done, milliseconds)
            done += 1
        return {"done": done, "seconds": time.perf_counter() - began}

    def do_bulk(first, count, seconds, milliseconds=0):
        if bulk is None:
            return {**do_one(first, count, seconds, milliseconds), "bulk": False}
        began = time.perf_counter()
        done = 0
        while done < count and time.perf_counter() - began < seconds:
            size = min(CHUNK, count - done)
            bulk(list(range(first + done, first + done + size)), milliseconds)
            done += size
        return {"done": done, "seconds": time.perf_counter() - began, "bulk": True}

    def do_apart(first, count, pause):
        returned = []
        for number in range(first, first + count):
            one(number, 0)
            returned.append(time.time())
            time.sleep(random.uniform(*pause))
        return {"times": returned}

    def do_later(first, delays):
        due = []
        for place, delay in enumerate(delays):
            due.append(time.time() + delay)
            later(first + place, delay)
        return {"times": due}

    def do_left():
        return {"left": None if left is None else left()}

    def do_pause():
        pause()
        return {}

    def do_resume():
        resume()
        return {}

    commands = {
        **{"one": do_one, "bulk": do_bulk, "apart": do_apart, "later": do_later},
        **{"left": do_left, "pause": do_pause, "resume": do_resume},
    }
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(commands[asked.pop("do")](**asked)), flush=True)
