"""Background jobs for Django, on Huey: the whole public surface.

Beside these names, other apps import only `jobs.signals`, `jobs.testing` and `jobs.command_line`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps as registry  # the name `apps` is that of the module beside this one

from .define.awaited import AwaitedJob
from .define.batch import Batch
from .define.bulk import BulkJob
from .define.context import RunningJob, current_job
from .define.events import Event, EventSignal, receives
from .define.flow import Call, Chain, chain
from .define.handle import JobHandle
from .define.masks import mentions
from .define.queue import Queue
from .define.task import Task
from .define.ticks import Tick
from .errors import (
    BrokerAway,
    BrokerUnavailable,
    Cancelled,
    CannotDecrypt,
    GroupFull,
    InvalidArguments,
    InvalidEvent,
    InvalidOption,
    InvalidPolicy,
    InvalidTask,
    JobFailed,
    JobsError,
    LeaseLost,
    NotInTask,
    NotInTransaction,
    NotSupported,
    OutOfMemory,
    OutOfTime,
    PermanentError,
    ProcessDied,
    QueueBroken,
    Refused,
    ResultTimeout,
    RetryLater,
    TaskSignal,
    UndeclaredStart,
    UnknownBatch,
    UnknownBreaker,
    UnknownCause,
    UnknownJob,
    UnknownObject,
    UnknownProcess,
    UnknownQueue,
    UnknownSchedule,
    UnknownTask,
    WrongDatabase,
)
from .history.batch_counts import BatchCounts
from .history.counts import Counts
from .history.status.finding import Finding
from .operate.subjects import Erased, Subject
from .policy import AS_IN_CODE, GIVE_UP, Breaker, Exponential, Fixed, Limit, RateLimit, Retention
from .rules.cron import Cron
from .rules.every import Every
from .states import State

if TYPE_CHECKING:
    from .history.about import jobs_about
    from .history.breakers import SeenBreaker, breakers
    from .history.causes import dead_letters_by_cause
    from .history.choice import JobFilter
    from .history.counters import counts
    from .history.deploys import Deploy
    from .history.effects import CausedJob, JobEffect, register_effects
    from .history.job_events import JobEvent, job_events
    from .history.limits import HeldLimits, limits
    from .history.provider_calls import provider_call
    from .history.status.readiness import Readiness, readiness
    from .history.status.registered import register_findings
    from .history.why import Reason, Why
    from .metrics.registered import register_metrics
    from .operate.breakers import close_breaker, open_breaker
    from .operate.by_filter import Progress, act_on
    from .operate.cancel import cancel
    from .operate.change import reschedule, set_priority
    from .operate.clean import clean
    from .operate.dead_letters import discard_dead_letters
    from .operate.deploys import mark_deploy
    from .operate.discard import discard
    from .operate.doctor import Ailment, examine
    from .operate.drain import drain
    from .operate.edit import edit
    from .operate.erase import erase_jobs, register_eraser
    from .operate.groups import groups, pause_group, resume_group, set_group_limits
    from .operate.limits import reset_limits, set_limits
    from .operate.obliterate import obliterate
    from .operate.pause import pause, resume
    from .operate.promote import promote
    from .operate.retry import dead_letters, retry
    from .operate.retry_cause import retry_cause
    from .operate.tags import pause_tag, paused_tags, resume_tag
    from .operate.workers import SeenWorker, pause_worker, resume_worker, workers

__all__ = [
    "AS_IN_CODE",
    "Ailment",
    "AwaitedJob",
    "Batch",
    "BatchCounts",
    "Breaker",
    "BrokerAway",
    "BrokerUnavailable",
    "BulkJob",
    "Call",
    "Cancelled",
    "CannotDecrypt",
    "CausedJob",
    "Chain",
    "Counts",
    "Cron",
    "Deploy",
    "Erased",
    "Event",
    "EventSignal",
    "Every",
    "Exponential",
    "Finding",
    "Fixed",
    "GIVE_UP",
    "GroupFull",
    "HeldLimits",
    "InvalidArguments",
    "InvalidEvent",
    "InvalidOption",
    "InvalidPolicy",
    "InvalidTask",
    "JobEffect",
    "JobEvent",
    "JobFailed",
    "JobFilter",
    "JobHandle",
    "JobsError",
    "LeaseLost",
    "Limit",
    "NotInTask",
    "NotInTransaction",
    "NotSupported",
    "OutOfMemory",
    "OutOfTime",
    "PermanentError",
    "ProcessDied",
    "Progress",
    "Queue",
    "QueueBroken",
    "RateLimit",
    "Readiness",
    "Reason",
    "Refused",
    "ResultTimeout",
    "Retention",
    "RetryLater",
    "RunningJob",
    "SeenBreaker",
    "SeenWorker",
    "State",
    "Subject",
    "Task",
    "TaskSignal",
    "Tick",
    "UndeclaredStart",
    "UnknownBatch",
    "UnknownBreaker",
    "UnknownCause",
    "UnknownJob",
    "UnknownObject",
    "UnknownProcess",
    "UnknownQueue",
    "UnknownSchedule",
    "UnknownTask",
    "Why",
    "WrongDatabase",
    "act_on",
    "breakers",
    "cancel",
    "chain",
    "clean",
    "close_breaker",
    "counts",
    "current_job",
    "dead_letters",
    "dead_letters_by_cause",
    "discard",
    "discard_dead_letters",
    "drain",
    "edit",
    "erase_jobs",
    "examine",
    "groups",
    "job_events",
    "jobs_about",
    "limits",
    "mark_deploy",
    "mentions",
    "obliterate",
    "open_breaker",
    "pause",
    "pause_group",
    "pause_tag",
    "pause_worker",
    "paused_tags",
    "promote",
    "provider_call",
    "readiness",
    "receives",
    "register_effects",
    "register_eraser",
    "register_findings",
    "register_metrics",
    "reschedule",
    "reset_limits",
    "resume",
    "resume_group",
    "resume_tag",
    "resume_worker",
    "retry",
    "retry_cause",
    "set_group_limits",
    "set_limits",
    "set_priority",
    "workers",
]

#: Where the functions live that read the jobs' tables.
_HOMES = {
    "HeldLimits": "history.limits",
    "SeenBreaker": "history.breakers",
    "breakers": "history.breakers",
    "close_breaker": "operate.breakers",
    "open_breaker": "operate.breakers",
    "limits": "history.limits",
    "reset_limits": "operate.limits",
    "set_limits": "operate.limits",
    "Ailment": "operate.doctor",
    "CausedJob": "history.effects",
    "JobEffect": "history.effects",
    "Deploy": "history.deploys",
    "JobEvent": "history.job_events",
    "JobFilter": "history.choice",
    "Progress": "operate.by_filter",
    "Readiness": "history.status.readiness",
    "Reason": "history.why",
    "Why": "history.why",
    "act_on": "operate.by_filter",
    "cancel": "operate.cancel",
    "clean": "operate.clean",
    "counts": "history.counters",
    "dead_letters": "operate.retry",
    "dead_letters_by_cause": "history.causes",
    "discard": "operate.discard",
    "discard_dead_letters": "operate.dead_letters",
    "drain": "operate.drain",
    "edit": "operate.edit",
    "erase_jobs": "operate.erase",
    "examine": "operate.doctor",
    "groups": "operate.groups",
    "job_events": "history.job_events",
    "jobs_about": "history.about",
    "mark_deploy": "operate.deploys",
    "obliterate": "operate.obliterate",
    "pause": "operate.pause",
    "pause_group": "operate.groups",
    "pause_tag": "operate.tags",
    "paused_tags": "operate.tags",
    "promote": "operate.promote",
    "provider_call": "history.provider_calls",
    "readiness": "history.status.readiness",
    "register_effects": "history.effects",
    "register_eraser": "operate.erase",
    "register_findings": "history.status.registered",
    "register_metrics": "metrics.registered",
    "reschedule": "operate.change",
    "resume": "operate.pause",
    "resume_group": "operate.groups",
    "resume_tag": "operate.tags",
    "retry": "operate.retry",
    "retry_cause": "operate.retry_cause",
    "set_group_limits": "operate.groups",
    "set_priority": "operate.change",
    "pause_worker": "operate.workers",
    "resume_worker": "operate.workers",
    "SeenWorker": "operate.workers",
    "workers": "operate.workers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not registry.models_ready:
        return _when_ready(name)
    found = globals()[name] = _function(name)
    return found


def _function(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


def _when_ready(name: str) -> Callable[..., Any]:
    """The function for a module that Django imports before the tables' models are there: `config/queues.py`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return _function(name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    return call
