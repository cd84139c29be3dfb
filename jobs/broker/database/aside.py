"""Jobs with a paused tag: a claim that meets them puts them aside, each once, where no claim looks meanwhile.

Their lane stands beside the one that they stood in, of the same group and the same task with limits. Once the tag is
paused no more it is a lane like any other: nothing has to go back, each job stands by its ready time among the others.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from uuid import UUID

from ..lanes import lane_aside, tag_of
from .connection import JobsDatabase, Trip
from .reach import reaching
from .seats import Waiting
from .values import id_of, tags_of, with_tag

#: How many jobs a claim puts aside: where there are more, it takes nothing else, and the next one goes on.
MOST = 1_000


class Aside:
    """What one claim leaves alone for the sake of its queue's paused tags, under the queue's lock."""

    def __init__(self, trip: Trip, paused_tags: str) -> None:
        self._trip = trip
        self._tags = frozenset(tags_of(paused_tags))
        #: how many may still be put aside
        self.left = MOST
        #: some carry a paused tag and are still to be put aside: what stands behind them is not known
        self.is_cut = False
        #: how many somebody else holds locked
        self.stuck = 0
        self._moved_from: set[str] = set()

    def is_open(self, lane: str) -> bool:
        """Whether jobs of this lane may start."""
        return not self._tags or tag_of(lane) not in self._tags

    def carries(self, row: Waiting) -> str:
        """The first paused tag of a job; empty: it has none."""
        if not self._tags or not row.tags:
            return ""
        return next((tag for tag in tags_of(row.tags) if tag in self._tags), "")

    def sift(self, rows: Sequence[Waiting]) -> tuple[list[Waiting], set[UUID]]:
        """Those that may start, and which stay in the way since somebody holds them locked; puts the others aside."""
        if not self._tags:
            return list(rows), set()
        free: list[Waiting] = []
        tagged: defaultdict[tuple[str, str], list[UUID]] = defaultdict(list)
        for row in rows:
            if not self.is_open(row.lane):
                continue
            if tag := self.carries(row):
                tagged[row.lane, tag].append(row.id)
            else:
                free.append(row)
        stuck: set[UUID] = set()
        for (lane, tag), ids in sorted(tagged.items()):
            stuck |= self._put_aside(lane, tag, ids)
        self.stuck += len(stuck)
        return free, stuck

    def first(
        self, read: Callable[[Sequence[str], int], list[Waiting]], lanes: Sequence[str], most: int
    ) -> list[Waiting]:
        """The first jobs of these lanes that may start; `read` reads so many of each lane, and sifts them."""
        rows: list[Waiting] = []
        asked = frozenset(lanes)
        self.moved_from()  # those that were sifted before, with all that stands behind them
        while lanes:
            rows = [row for row in rows if row.lane not in lanes] + read(lanes, most)
            if lanes := sorted(asked & self.moved_from()):
                most = max(most + self.stuck, self.left // len(lanes))
        return rows

    def moved_from(self) -> frozenset[str]:
        """The lanes whose first jobs were put aside since this was asked last: others are the first there now."""
        lanes = frozenset(self._moved_from)
        self._moved_from.clear()
        return lanes

    def _put_aside(self, lane: str, tag: str, ids: Sequence[UUID]) -> set[UUID]:
        self.is_cut = self.is_cut or len(ids) > self.left
        if not (some := ids[: self.left]):
            return set()
        given = json.dumps([id.hex for id in some])
        moved = {id_of(id) for (id,) in self._trip.run("put_aside", ids=given, lane=lane_aside(lane, tag))}
        self.left -= len(moved)
        self._moved_from.add(lane)
        return set(some) - moved


class Tagging:
    """The broker's part in it."""

    _database: JobsDatabase

    @reaching
    def pause_tag(self, queue: str, tag: str, *, paused: bool) -> None:
        """Let nothing of the queue start that carries the tag, or again; see the contract."""
        with self._database.write_synced() as trip:
            ((known,),) = trip.run("lock_paused_tags", queue=queue)
            trip.change("set_paused_tags", queue=queue, tags=with_tag(known, tag, paused=paused))
            if not paused:
                trip.told.add(queue)
