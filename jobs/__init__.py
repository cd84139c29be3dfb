"""Background jobs for Django, on Huey: the whole public surface.

Beside these names, other apps import only `jobs.signals` and `jobs.testing`.
"""

from .about import jobs_about
from .context import current_job
from .errors import Cancelled, JobFailed, JobsError, PermanentError, RetryLater
from .events import Event, EventSignal, receives
from .handle import JobHandle
from .policy import Exponential, Fixed, RateLimit, Retention
from .queue import Queue

__all__ = [
    "Cancelled",
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
    "current_job",
    "jobs_about",
    "receives",
]
