"""The work of every job, the same in every system: a pause where one is asked for, and one system call."""

import os
import time

_FILE = os.open(os.environ["BENCH_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
PAYLOAD = "x" * 80  # with the other arguments, about 100 bytes


def work(number, milliseconds):
    """Pause, then note that the job has run to its end."""
    if milliseconds:
        time.sleep(milliseconds / 1000)
    note(number)


def note(number):
    """Note that this job has run to its end, now."""
    os.write(_FILE, b"%08d %017.6f\n" % (number, time.time()))
