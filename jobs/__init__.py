"""Background jobs for Django, on Huey: the whole public surface.

Beside these names, other apps import only `jobs.signals` and `jobs.testing`.
"""

from .define.context import current_job
from .define.events import Event, EventSignal, receives
from .define.handle import JobHandle
from .define.queue import Queue
from .errors import Cancelled, JobFailed, JobsError, PermanentError, RetryLater
from .history.about import jobs_about
from .operate.erasure import Erased, Subject, erase_jobs, register_eraser
from .policy import Exponential, Fixed, RateLimit, Retention

__all__ = [
    "Cancelled",
    "Erased",
    "Event",
    "EventSignal",
    "Exponential",
    "Fixed",
    "JobFailed",
    "JobHandle",
    "JobsError",
    "PermanentError",
    "Queue",
    "RateLimit",
    "Retention",
    "RetryLater",
    "Subject",
    "current_job",
    "erase_jobs",
    "jobs_about",
    "receives",
    "register_eraser",
]
