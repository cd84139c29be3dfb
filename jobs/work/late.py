"""Jobs that run on past their timeout: no thread can be stopped, so people are told where it hangs.

Another thread takes the place, so that the others do not wait for it.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from uuid import UUID

from ..define.context import RunningJob, running
from ..visible import visible

logger = logging.getLogger("jobs.worker")

#: Seconds past its timeout after which a job is told of: until then the task may be about to stop by itself.
LATE_AFTER = 5.0
#: Characters of a stack that are logged, the innermost.
LONGEST_STACK = 4_000


def tell_of_late(fill_place: Callable[[UUID], None]) -> None:
    """Log each job that is past its timeout and does not look at it, once a start, with the stack of its thread.

    And have its place filled with another thread.
    """
    for job in list(running.values()):
        if not job.told_late and -job.time_left >= LATE_AFTER:
            job.told_late = True
            _tell(job)
            fill_place(job.id)


def _tell(job: RunningJob) -> None:
    frame = sys._current_frames().get(job.thread)
    stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
    text = "past_timeout id=%s task=%s seconds=%.0f: its thread goes on, and another one takes its place; stack=%s"
    logger.error(text, job.id, job.claimed.task, -job.time_left, visible(stack[-LONGEST_STACK:]))
