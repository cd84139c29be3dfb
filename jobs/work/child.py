"""The life of a worker process, from its command line to its exit code."""

from __future__ import annotations

import logging
import os
import signal
import threading
from uuid import UUID

from django.db import connections

from .. import logs
from ..broker import forget_broker, get_broker
from ..conf import jobs_settings
from ..connections import keep_connections
from ..define.context import request_stop
from ..defined import find_queue
from . import event_loop, reports
from .consumer import QueueConsumer
from .hints import HintEar
from .leases import OwnLease
from .limits import LimitsWatch
from .link import ParentLink
from .wear import Wear

logger = logging.getLogger("jobs.worker")

#: Seconds that the end of the process waits for the last progress and log lines of its jobs to be written.
LAST_REPORTS = 2.0


def run_worker(
    queue_name: str, worker: UUID, *, threads: int, alone: bool, life: int, beat: int, wear: Wear | None = None
) -> int:
    """Work on one queue until told to stop; returns the exit code, which is 1 where the engine itself has broken.

    `life` and `beat` are the pipes of `jobs.work.link`. Once its `wear` is reached another process takes over. When the
    grace time is over, what still runs is cut by the end of the process, which then does not return.
    """
    settings, queue, broker = jobs_settings(), find_queue(queue_name), get_broker()
    keep_connections()
    watch = LimitsWatch(broker, queue.name)
    watch.look()
    consumer = QueueConsumer(
        queue, broker, worker, threads=threads, grace=settings.grace, alone=alone, limits=watch.held
    )

    wear = wear.possible(queue.name) if wear is not None else None
    worn = threading.Event()

    def is_worn() -> bool:
        if wear is not None and wear.is_reached(consumer.pool.claimed):
            worn.set()
        return worn.is_set()

    def drain() -> None:
        if worn.is_set() and not link.orphaned:
            consumer.wait_for_all()
        request_stop()
        consumer.drain()

    reports.begin()
    event_loop.serve()
    link = ParentLink(life, beat, drain, is_worn if wear else None)
    lease = OwnLease(broker, worker, settings.lease, holds_jobs=lambda: consumer.pool.held > 0, gone=link.stop)
    ear = HintEar(broker, queue.name, consumer.pool.hear, consumer.pool.room)
    link.start()
    lease.start()
    ear.start()
    watch.begin(consumer.hold)
    logger.info("worker_started queue=%s pid=%d threads=%d", queue.name, os.getpid(), consumer.workers)
    link.ready()
    consumer.run()
    reports.finish(LAST_REPORTS)
    for thread in (lease, ear, watch):
        thread.end()
    if not consumer.drained:
        logger.warning("worker_cut queue=%s pid=%d jobs=%d", queue.name, os.getpid(), consumer.pool.held)
        logs.finish()
        logging.shutdown()
        if link.orphaned:
            _end_group()
        # threads that still run must not touch anything any more, not even while the interpreter closes
        os._exit(int(consumer.broken))
    lease.join()
    watch.join()
    logger.info("worker_stopped queue=%s pid=%d", queue.name, os.getpid())
    connections.close_all()
    forget_broker()
    if link.orphaned:
        logs.finish()
        _end_group()
    return int(consumer.broken)


def _end_group() -> None:
    """End this process with what its tasks have started: there is no supervisor any more that would do it."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
