"""The life of a worker process, from its command line to its exit code."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Sequence
from uuid import UUID

from django.db import connections

from .. import logs
from ..broker import forget_broker, get_broker
from ..conf import jobs_settings
from ..connections import keep_connections
from ..define.context import request_stop
from ..defined import find_queue
from ..history.provider_calls import finish_calls, keep_calls
from . import event_loop, reports
from .answers import StackAnswers
from .breakers import breakers_of
from .consumer import QueueConsumer
from .hints import HintEar
from .leases import OwnLease
from .limits import LimitsWatch
from .link import BEAT_EVERY, LOOK_EVERY, ParentLink
from .runners import Runners
from .wear import Wear

logger = logging.getLogger("jobs.worker")

#: Seconds that the end of the process waits for the last progress and log lines of its jobs to be written.
LAST_REPORTS = 2.0
#: Seconds that it waits for an answer about a stack that is just being written.
LAST_ANSWER = 2.0


def run_worker(
    queue_name: str,
    worker: UUID,
    *,
    threads: int,
    alone: bool,
    life: int,
    beat: int,
    command: Sequence[str],
    wear: Wear | None = None,
) -> int:
    """Work on one queue until told to stop; returns the exit code, which is 1 where the engine itself has broken.

    `life` and `beat` are the pipes of `jobs.work.link`. Once its `wear` is reached, or too many jobs run on past
    their time, another process takes over. `command` starts the runners of isolated jobs. When the grace time is
    over, what still runs is cut by the end of the process, which then does not return.
    """
    settings, queue, broker = jobs_settings(), find_queue(queue_name), get_broker()
    keep_connections()
    breakers = breakers_of(queue, worker)
    watch = LimitsWatch(broker, queue.name, breakers)
    watch.look()
    wear = wear.possible(queue.name) if wear is not None else Wear()
    runners = None
    if any(task.isolation is not None for task in queue.tasks.values()):
        runners = Runners(queue, worker, command, wear.most_memory)
    consumer = QueueConsumer(
        *(queue, broker, worker),
        threads=threads,
        grace=settings.grace,
        alone=alone,
        runners=runners,
        limits=watch.held,
        breakers=breakers,
    )
    if breakers is not None:
        breakers.begin(
            wake=consumer.pool.look,
            ring=watch.ring,
            has_room=lambda: consumer.has_room,
            announce=consumer.pool.announcer.put_call,
        )
    worn = threading.Event()

    def is_worn() -> bool:
        if consumer.has_many_late or wear.is_reached(consumer.pool.jobs):
            worn.set()
        return worn.is_set()

    def drain() -> None:
        if worn.is_set() and not link.orphaned:
            consumer.wait_for_all()
        request_stop()
        consumer.drain()

    reports.begin()
    event_loop.serve()
    link = ParentLink(life, beat, drain, is_worn, LOOK_EVERY if wear else BEAT_EVERY)
    lease = OwnLease(
        broker,
        worker,
        settings.lease,
        holds_jobs=lambda: consumer.pool.held > 0,
        gone=link.stop,
        fill_place=consumer.fill_place,
    )
    answers = StackAnswers(
        worker,
        holds_jobs=lambda: consumer.pool.held > 0,
        of_runner=runners.stack_of if runners is not None else lambda job: None,
    )
    ear = HintEar(broker, queue.name, consumer.pool.hear, consumer.pool.room)
    link.start()
    lease.start()
    ear.start()
    answers.start()
    keep_calls()
    watch.begin(consumer.hold)
    if runners is not None:
        runners.start()
    logger.info("worker_started queue=%s pid=%d threads=%d", queue.name, os.getpid(), consumer.workers)
    link.ready()
    consumer.run()
    if runners is not None:
        runners.close()
    reports.finish(LAST_REPORTS)
    finish_calls()
    for thread in (lease, ear, watch, answers):
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
    answers.join(LAST_ANSWER)
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
