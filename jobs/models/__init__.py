"""The jobs' tables. On the database broker `Job` is the queue; on every broker it is the history.

Written by raw SQL in `jobs.broker.database`; the models are for reading and for the admin.
"""

from __future__ import annotations

from .attempt import Attempt, AttemptOutcome
from .batch import Batch, Member
from .breaker import BreakerState
from .cause import Cause, Release
from .deploy import DeployMark
from .edge import Edge
from .inside import JobProgress, Kept, LogPart
from .job import STATE_WORDS, Job, JobState
from .operation import Operation, Verb
from .process import ClockJump, Marker, Process
from .provider import ProviderFailure
from .queue import Grant, GroupState, QueueStat, QueueState, TaskStat, Throttle
from .schedule import Schedule
from .stack import StackRequest

__all__ = [
    "STATE_WORDS",
    "Attempt",
    "AttemptOutcome",
    "Batch",
    "BreakerState",
    "Cause",
    "ClockJump",
    "DeployMark",
    "Edge",
    "Grant",
    "GroupState",
    "Job",
    "JobProgress",
    "JobState",
    "Kept",
    "LogPart",
    "Marker",
    "Member",
    "Operation",
    "Process",
    "ProviderFailure",
    "QueueStat",
    "QueueState",
    "Release",
    "Schedule",
    "StackRequest",
    "TaskStat",
    "Throttle",
    "Verb",
]
