"""Lanes: where a job with a group, or of a task with rules of its own, stands while it waits. Below all brokers.

A lane is the group's name and, for a task with limits or one that takes jobs in bulk, the task behind a separator: all
its jobs may start under the same rules, so a claim looks at the first of each. A plain job has none: its lane is empty.
Jobs without a group are one group of the name "" among the others.

A job that carries a paused tag is put aside by the first claim that meets it, into a lane beside its own: with a mark
and the tag behind the group. No claim looks there as long as the tag is paused; then it is one more lane of the group.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..policy import RateLimit

#: Between the group and the task; no group's name holds it (`jobs.define.labels`). Below every printable character, so
#: that the lanes of a group stand together, and those without one before all others.
SEPARATOR = "\x1f"
#: Between the group and a tag that was paused when the job's turn came; below the separator, so that what knows only
#: that one still finds the task behind it.
TAG_MARK = "\x1e"
#: What comes behind all lanes of a group, and before those of a group whose name goes on.
AFTER_LANES = " "
#: Characters of a group's name.
LONGEST_GROUP = 100


def lane_of(group: str, task: str, *, ruled: bool = False) -> str:
    """The lane of a job; `ruled`: its task has rules of its own (`QueuePolicy.has_lane`). Empty for a plain job."""
    return f"{group}{SEPARATOR}{task}" if ruled else group


def group_of(lane: str) -> str:
    """The group of a lane's jobs; empty: they have none."""
    return lane.partition(SEPARATOR)[0].partition(TAG_MARK)[0]


def task_of(lane: str) -> str:
    """The task of a lane's jobs, if it has rules of its own; else empty."""
    return lane.partition(SEPARATOR)[2]


def tag_of(lane: str) -> str:
    """The tag for whose sake a lane's jobs were put aside; empty: for none."""
    return lane.partition(SEPARATOR)[0].partition(TAG_MARK)[2]


def lane_aside(lane: str, tag: str) -> str:
    """Where the jobs of a lane are put aside for the sake of a tag."""
    _, separator, task = lane.partition(SEPARATOR)
    return f"{group_of(lane)}{TAG_MARK}{tag}{separator}{task}"


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """What holds for one group otherwise than its queue says; as made: nothing."""

    paused: bool = False
    concurrency: int | None = None
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class GroupSeen:
    """A group that has live jobs or settings of its own; each number stops counting at 10,000.

    `blocked_until`: told to wait until then.
    """

    name: str
    waiting: int = 0
    scheduled: int = 0
    active: int = 0
    settings: GroupSettings = GroupSettings()
    blocked_until: datetime | None = None
