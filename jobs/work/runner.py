"""The life of a runner: a process that runs the isolated jobs of one slot, one after the other.

The worker ends it with all that its jobs have started, and it dies with its worker: the supervisor sees to it, and it
sees to it by itself. It settles nothing.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import queue as queues
import signal
import sys
import threading
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Any, NoReturn
from uuid import UUID

from django.db import connections

from ..broker import forget_broker, get_broker
from ..broker.records import ClaimedJob
from ..connections import keep_connections
from ..define.context import request_cancel, request_stop
from ..define.queue import Queue
from ..defined import find_queue
from ..history.provider_calls import finish_calls, keep_calls
from . import reports
from .execution import execute
from .forks import call, leave_forks_alone
from .frames import Begun, Cancel, End, Ended, Ready, Stop, ToWorker, Work, heard_by_runner, send
from .link import STOP_SIGNALS, note
from .stacks import STACK_SIGNAL

logger = logging.getLogger("jobs.worker")

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
#: Seconds past its time at which a job ends its process by itself: its worker, which was to do it, is dead or stopped.
LAST_RESORT = 5.0
#: Seconds until a worker that has let go of its end must be dead.
WORKER_LIMIT = 5.0
#: Seconds that the end of the process waits for the last progress and log lines of its jobs to be written.
LAST_REPORTS = 1.0


def run_runner(queue_name: str, worker: UUID, *, line: int, stacks: int) -> int:
    """Run the jobs that the worker sends through the socket `line`; returns the exit code.

    Into the file `stacks` goes where its threads are, when it crashes or is asked.
    """
    if sys.platform == "linux":  # what jobs start stays below this process, however it tries to get away
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for end in (line, stacks):
        os.set_inheritable(end, False)  # none of the programs that tasks start is to have them
    # the worker is told to stop, and says how long its jobs have; a service manager may tell all processes
    leave_forks_alone({number: note(number) for number in (*STOP_SIGNALS, signal.SIGHUP)}, (line, stacks))
    faulthandler.enable(stacks)
    faulthandler.register(STACK_SIGNAL, stacks)
    queue = find_queue(queue_name)
    get_broker()
    keep_connections()
    reports.begin()
    keep_calls()
    _call_hooks(queue._startup.items())
    _Runner(Connection(line), queue, worker, stacks).run()
    _call_hooks(queue._shutdown.items())
    reports.finish(LAST_REPORTS)
    finish_calls()
    connections.close_all()
    forget_broker()
    return 0


class _Runner:
    """The main thread runs jobs; another one listens, also while a job runs."""

    def __init__(self, connection: Connection, queue: Queue, worker: UUID, stacks: int) -> None:
        self._connection = connection
        self._queue = queue
        self._worker = worker
        self._parent = os.getppid()
        self._stacks = stacks
        self._jobs: queues.SimpleQueue[ClaimedJob | None] = queues.SimpleQueue()

    def run(self) -> None:
        """Until the worker says that it was all."""
        threading.Thread(target=self._listen, name="jobs-line", daemon=True).start()
        self._say(Ready())
        while (job := self._jobs.get()) is not None:
            self._say(Begun())
            task = self._queue.find_task(job.task)
            if task is not None and task.isolation is not None:
                # by a thread of C code, whoever holds the interpreter
                seconds = task.isolation.timeout + LAST_RESORT
                faulthandler.dump_traceback_later(seconds, exit=True, file=self._stacks)
            settlement = call(execute, job, self._queue, self._worker)
            faulthandler.cancel_dump_traceback_later()
            if settlement is None:  # only an atomic task settles by itself
                raise RuntimeError(f"job {job.id} has ended without an outcome")
            self._say(Ended.by(settlement))

    def _say(self, frame: ToWorker) -> None:
        try:
            send(self._connection, frame)
        except OSError:
            _end_at_once(self._parent)

    def _listen(self) -> None:
        while True:
            match heard_by_runner(self._connection):
                case Work(job):
                    self._jobs.put(job)
                case Cancel(id):
                    request_cancel([id])
                case Stop():
                    request_stop()
                case End():
                    self._jobs.put(None)
                    return
                case None:
                    _end_at_once(self._parent)


def _end_at_once(worker: int) -> NoReturn:
    """The worker is gone: its jobs are about to be another's.

    Not before it is dead: what jobs have started is then known to its supervisor as the dead worker's.
    """
    until = time.monotonic() + WORKER_LIMIT
    while os.getppid() == worker and time.monotonic() < until:
        time.sleep(0.001)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _call_hooks(hooks: Iterable[tuple[str, Any]]) -> None:
    """Huey's `on_startup` and `on_shutdown`, as its own workers call them."""
    for name, hook in hooks:
        try:
            hook()
        except Exception:
            logger.exception("hook_failed name=%s", name)
