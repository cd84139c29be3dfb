"""What holds for the groups and the tags of a queue, and what waits in the groups; see `lua/parts/lanes.lua`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import GroupFull
from ...policy import QueuePolicy, RateLimit
from ..contract import COUNT_LIMIT
from ..lanes import GroupSeen, GroupSettings
from ..records import NewJob
from .moments import moment_or_none, span
from .scripts import Scripts, decode


class Grouping:
    """The broker's part in groups and tags."""

    _scripts: Scripts

    def set_group(self, queue: str, group: str, settings: GroupSettings, *, ends_wait: bool = False) -> None:
        """Let this hold for one group; see the contract."""
        rate = settings.rate_limit
        self._scripts.run(
            "set_group",
            queue,
            group=group,
            paused=settings.paused,
            concurrency=settings.concurrency or False,
            limit=rate.limit if rate else False,
            per=span(rate.per) if rate else False,
            ends_wait=ends_wait,
        )

    def pause_tag(self, queue: str, tag: str, *, paused: bool) -> None:
        """Let nothing of the queue start that carries the tag, or again; see the contract."""
        self._scripts.run("pause_tag", queue, tag=tag, paused=paused)

    def groups(self, queue: str, after: str = "", limit: int = 100) -> Sequence[GroupSeen]:
        """The groups with live jobs or settings of their own; see the contract.

        Of the jobs that wait for their time the first 10,000 of the queue are counted by their groups.
        """
        found = decode(self._scripts.run("groups", queue, after=after, limit=limit, most=COUNT_LIMIT))
        return tuple(_seen(*one) for one in found or ())

    def count_group(self, queue: str, group: str, most: int) -> int:
        """How many of the group's jobs wait, due to start; see the contract."""
        return min(int(self._scripts.run("count_group", queue, group=group)), most)


def full_group(jobs: Sequence[NewJob], group: str) -> GroupFull:
    """What is raised where a group has no room for some of these jobs."""
    most = min(job.group_max for job in jobs if job.group == group and job.group_max is not None)
    return GroupFull(jobs[0].queue, group, most)


def group_rules(policy: QueuePolicy) -> Mapping[str, Any]:
    """What `exchange.lua` is told of a queue's rules for each of its groups."""
    ask: dict[str, Any] = {}
    if policy.groups.concurrency:
        ask["group_most"] = policy.groups.concurrency
    if rate := policy.groups.rate_limit:
        ask |= {"group_limit": rate.limit, "group_per": span(rate.per)}
    return ask


def _seen(
    name: str,
    waiting: int,
    scheduled: int,
    active: int,
    paused: bool,
    concurrency: int | bool,
    limit: int | bool,
    per: int | bool,
    wait_until: int | bool,
) -> GroupSeen:
    waiting, scheduled, active = (min(count, COUNT_LIMIT) for count in (waiting, scheduled, active))
    settings = GroupSettings(paused, concurrency or None, RateLimit(limit, per=per / 1_000_000) if limit else None)
    return GroupSeen(name, waiting, scheduled, active, settings, moment_or_none(wait_until))
