"""A worker's answers to people who want to see where one of its jobs is: in a thread, on the event loop, in a runner.

Frames and source lines, no values. A task that holds the interpreter keeps this thread from its answer as well, and
whoever asked is told so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.db import connections

from .. import clock
from ..conf import jobs_settings
from ..connections import close_obsolete_connections
from ..define.context import running
from ..models import StackRequest
from ..visible import visible
from .error_texts import line_of
from .stacks import stack_of

logger = logging.getLogger("jobs.worker")

#: Seconds between two looks, and questions that are older than so many nobody waits for any more.
LOOK_EVERY, TOO_OLD = 1.0, timedelta(seconds=60)
#: Characters of an answer, the innermost.
LONGEST = 20_000


class StackAnswers(threading.Thread):
    """Looks once a second, while the worker holds jobs, whether somebody asks about one of them.

    `of_runner` tells where a job is that runs in a process of its own, None if it does not.
    """

    def __init__(
        self, worker: UUID, *, holds_jobs: Callable[[], bool], of_runner: Callable[[UUID], str | None]
    ) -> None:
        super().__init__(name="stack-answers", daemon=True)
        self._worker = worker
        self._holds_jobs = holds_jobs
        self._of_runner = of_runner
        self._ended = threading.Event()
        self._failed = False

    def end(self) -> None:
        """Answer no more."""
        self._ended.set()

    def run(self) -> None:
        """The thread's life."""
        rested = True
        while not self._ended.wait(LOOK_EVERY):
            if not self._holds_jobs():
                if not rested:  # an idle worker keeps no connection for this
                    connections.close_all()
                rested = True
                continue
            rested = False
            try:
                close_obsolete_connections()
                self.answer()
                self._failed = False
            except Exception as error:
                if not self._failed:
                    logger.warning("stacks_not_answered worker=%s error=%s", self._worker, line_of(error))
                self._failed = True
                connections.close_all()
        connections.close_all()

    def answer(self) -> int:
        """Answer what is asked of this worker; returns how many questions there were."""
        rows = StackRequest.objects.using(jobs_settings().database).filter(worker_id=self._worker)
        asked = list(rows.filter(answered_at__isnull=True, asked_at__gte=clock.now() - TOO_OLD)[:100])
        for one in asked:
            stack = visible(self._stack(one.job_id)[-LONGEST:], keep="\n")
            rows.filter(pk=one.pk, answered_at__isnull=True).update(stack=stack, answered_at=clock.now())
        return len(asked)

    def _stack(self, job_id: UUID) -> str:
        told = self._of_runner(job_id)
        if told is not None:
            return told
        job = running.get(job_id)
        return "" if job is None else stack_of(job)
