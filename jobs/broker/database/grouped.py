"""What people see of the groups of a queue, and what they say of one."""

from __future__ import annotations

from collections.abc import Sequence

from ..lanes import GroupSeen, GroupSettings
from . import crowd, group_list, groups
from .connection import JobsDatabase
from .reach import reaching


class Grouped:
    """The broker's part in it."""

    _database: JobsDatabase

    @reaching
    def set_group(self, queue: str, group: str, settings: GroupSettings, *, ends_wait: bool = False) -> None:
        """Let this hold for one group; see the contract."""
        with self._database.write_synced() as trip:
            groups.set_group(trip, queue, group, settings, ends_wait=ends_wait)
            trip.told.add(queue)

    @reaching
    def groups(self, queue: str, after: str = "", limit: int = 100) -> Sequence[GroupSeen]:
        """The groups with live jobs or settings of their own; see the contract."""
        with self._database.read() as trip:
            return group_list.list_groups(trip, queue, after, min(limit, 1_000))

    @reaching
    def count_group(self, queue: str, group: str, most: int) -> int:
        """How many of the group's jobs wait, due to start; see the contract."""
        with self._database.read() as trip:
            return crowd.count_group(trip, queue, group, most)
