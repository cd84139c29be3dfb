"""Which jobs of a queue with lanes start next: within a priority the groups take turns (G5), under the queue's lock.

Priority first. Within one the groups are asked in the order of their names, from the one behind that which was served
last, and each gives its first job by (ready_at, id), as far as its rules and the limits of the job's task leave room;
whoever has none is passed over and keeps its place. Where few jobs are due they are read and sorted here. Else the
lanes are walked in pages, one step into an index for each, no further than the claim needs; after a whole round the
groups that were found give what else they have, turn by turn.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any
from uuid import UUID

from ... import clock
from ...policy import MOST_AT_ONCE, QueuePolicy
from ..lanes import SEPARATOR, group_of, task_of
from ..records import ClaimedJob
from .aside import Aside
from .bulks import Bulks
from .claim import Room, due_of, wait_after
from .connection import Trip
from .groups import Groups
from .rooms import Rooms
from .seats import Seat, Waiting, waiting
from .values import moment_of
from .walks import FEW_DUE, LONG, Walk, Walks, recall, remember

#: Where as many jobs have become due since a walk, it says too little.
MOST_NEW = 5_000
#: Where no more jobs are due at a priority, they are read and sorted.
FEW = 100
#: The first page of a walk over lanes, how much longer each is than the one before, and the longest.
FIRST_PAGE, GROWTH, LONGEST_PAGE = 16, 4, 1_000
#: Behind all lanes of a group: no task's name begins with it.
LAST = SEPARATOR + "\U0010ffff"
#: How often more are picked in place of jobs that somebody holds locked, or that have just expired.
ROUNDS = 3
#: Seconds until the next look where there were more of those.
AGAIN = 0.02
#: How many of the jobs that must run alone are looked at: those of a group that waits stand before the others.
MOST_ALONE = 1_000

ClaimIds = Callable[[Sequence[UUID]], Sequence[ClaimedJob]]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim by turns brought, in start order."""

    jobs: tuple[ClaimedJob, ...]
    wait: float | None
    groups: Groups


def claim_by_turns(
    trip: Trip,
    policy: QueuePolicy,
    room: Room,
    wanted: int,
    heads: Sequence[Sequence[Any]],
    alone: bool,
    claim: ClaimIds,
    walks: Walks,
) -> Claimed:
    """Claim up to as many jobs as wanted and as there is room for; `heads`: as `read_heads` says.

    What one call of a bulk task takes is one of those wanted. `claim` claims the jobs of these ids, except those that
    are locked or have expired. `walks`: what this process has learnt from long walks.
    """
    turns = _Turns(trip, policy, room, wanted, walks)
    due, wait = due_of(trip, heads)
    jobs: list[ClaimedJob] = []
    is_cut = True
    for _round in range(ROUNDS):
        picked = turns.pick_alone() if alone else turns.pick(due)
        claimed = claim([row.id for row in picked]) if picked else ()
        jobs += claimed
        if not turns.give_back(picked, {job.id for job in claimed}) or not turns.missing:
            is_cut = False
            break
    turns.save([priority for priority, _ in heads])
    if turns.aside.is_cut:
        wait = AGAIN
    elif not turns.missing:
        has_room = turns.calls == wanted or len(jobs) < room.slots
        wait = 0.0 if has_room else wait_after(room, len(jobs), trip.now)
    else:
        if due and not alone:
            # the due ones hid what comes after them
            ((to_come,),) = trip.run("read_to_come", queue=policy.name, now=trip.parameter(trip.now))
            wait = None if to_come is None else (moment_of(to_come) - trip.now).total_seconds()
        moments = (turns.groups.blocked_until, turns.groups.rooms.blocked_until, turns.bulks.blocked_until)
        if (until := min(filter(None, moments), default=None)) is not None:
            blocked = (until - trip.now).total_seconds()
            wait = blocked if wait is None else min(wait, blocked)
        if is_cut:
            wait = AGAIN if wait is None else min(wait, AGAIN)
        wait = None if wait is None else max(0.0, wait)
    return Claimed(tuple(jobs), wait, turns.groups)


@dataclass(slots=True)
class _Turns:
    """The state of one claim: whose turn it is, what is picked, what room is left."""

    trip: Trip
    policy: QueuePolicy
    room: Room
    wanted: int
    walks: Walks
    groups: Groups = field(init=False)
    aside: Aside = field(init=False)
    bulks: Bulks = field(init=False)
    _turns: dict[str, str] = field(init=False)
    _picked: list[Waiting] = field(default_factory=list)
    _left_out: set[UUID] = field(default_factory=set)
    _beside: set[UUID] = field(default_factory=set)  # picked, and not the first of their call
    _passed: int = 0
    _is_enough: bool = False
    _due: set[str] = field(default_factory=set)
    _rooms: Rooms = field(init=False)

    def __post_init__(self) -> None:
        self.groups = Groups(self.trip, self.policy, has_settings=self.room.has_groups)
        self.aside = Aside(self.trip, self.room.paused_tags)
        self._rooms = self.groups.rooms
        self.bulks = Bulks(self.trip, self._read, self.aside)
        self._turns = json.loads(self.room.turns or "{}")

    @property
    def calls(self) -> int:
        """How many calls the picked jobs are for."""
        return len(self._picked) - len(self._beside)

    @property
    def missing(self) -> int:
        """How many more may be picked, each for a call of its own."""
        return 0 if self.bulks.is_full or self.aside.is_cut else min(self.wanted - self.calls, self._slots)

    @property
    def _slots(self) -> int:
        """How many more may start."""
        return min(self.room.slots, max(self.wanted, MOST_AT_ONCE)) - len(self._picked)

    def pick(self, priorities: Sequence[int]) -> list[Waiting]:
        """The next jobs of these priorities, the highest first."""
        before = len(self._picked)
        for priority in priorities:
            if not self.missing:
                break
            self._pick_priority(priority)
        return self._picked[before:]

    def pick_alone(self) -> list[Waiting]:
        """The next jobs that must run alone, in the order of their priority: there are few, and they take no turns."""
        before = len(self._picked)
        rows = [waiting(row) for row in self._read("read_alone_due", most=MOST_ALONE + len(self._left_out))]
        self.groups.look(group_of(row.lane) for row in rows)
        for row in rows:
            if not self.missing:
                break
            name = group_of(row.lane)
            if not self.groups.room(name):
                self.groups.pass_over(name)
            elif row.id not in self._left_out and not self.aside.carries(row) and self._has_room(row):
                self._take_row(row)
        return self._picked[before:]

    def give_back(self, picked: Sequence[Waiting], claimed: set[UUID]) -> bool:
        """Take back the picks that could not be claimed; whether there were any."""
        left = [row for row in picked if row.id not in claimed]
        for row in left:
            self._picked.remove(row)
            others = [one.id for one in self._picked if one.lane == row.lane and one.id in self._beside]
            # where it was the first of a call, another one is now
            self._beside.discard(row.id if row.id in self._beside or not others else others[0])
            self._left_out.add(row.id)
            self.groups.take(group_of(row.lane), -1)
            self._rooms.take(task_of(row.lane), -1)
        return bool(left)

    def save(self, priorities: Sequence[int]) -> None:
        """Write down whose turn it was, where that is news."""
        used = {str(priority) for priority in priorities}
        turns = {priority: group for priority, group in self._turns.items() if priority in used}
        text = json.dumps(turns, ensure_ascii=False) if turns else ""
        if self._picked and text != self.room.turns:
            self.trip.change("save_turns", queue=self.policy.name, turns=text)

    # One priority

    def _pick_priority(self, priority: int) -> None:
        seats: list[Seat] = []
        self._passed, self._is_enough = 0, False
        turn = self._seats(priority)
        for seat in turn:
            if self._take(priority, seat):
                seats.append(seat)
            if not self.missing:
                # a long walk is walked to its end, to be remembered
                self._is_enough = True
                if self._passed > LONG:
                    deque(turn, maxlen=0)
                return
        found = True
        while found and self.missing:
            found = False
            for seat in seats:
                if not self.missing:
                    return
                if self.groups.room(seat.group) and (seat.rows or self._refill(priority, seat)):
                    found |= self._take(priority, seat)
        for seat in seats:
            if not self.groups.room(seat.group):
                self.groups.pass_over(seat.group)

    def _take(self, priority: int, seat: Seat) -> bool:
        """Let the group have one turn."""
        for index, row in enumerate(seat.rows):
            if not self.missing or not self._has_room(row) or not (together := self._together(priority, row)):
                continue
            for one in together:
                self._take_row(one)
            self._beside.update(one.id for one in together[1:])
            if together == [row]:
                del seat.rows[index]
            else:
                seat.rows = deque(self._new(seat.rows))
            self._turns[str(priority)] = seat.group
            return True
        seat.rows.clear()
        return False

    def _together(self, priority: int, row: Waiting) -> list[Waiting]:
        """What one call takes: this job, or of a bulk task the first ones of its lane; nothing while it is to wait."""
        task = task_of(row.lane)
        if (rule := self.policy.bulks.get(task)) is None:
            return [row]
        most = min(rule.most, self._slots, self.groups.room(group_of(row.lane)), self._rooms.room(task))
        return self.bulks.next(rule, priority, row.lane, most, self.missing, self._seen())

    def _take_row(self, row: Waiting) -> None:
        self._picked.append(row)
        self.groups.take(group_of(row.lane))
        self._rooms.take(task_of(row.lane))

    def _has_room(self, row: Waiting) -> bool:
        return self._rooms.has_room(task_of(row.lane))

    # The groups in their turn

    def _seats(self, priority: int) -> Iterator[Seat]:
        """The groups with due jobs and room, once each, from the one behind that which was served last."""
        cursor = self._turns.get(str(priority))
        found = self._read("read_due_lanes", priority=priority, most=FEW + 1)
        if len(found) <= FEW:
            seats = iter(self._sorted(priority, cursor, found))
        else:
            known = self._known_lanes(priority)
            seats = self._walk(priority, cursor) if known is None else self._recall(priority, cursor, known)
        for seat in seats:
            if self.groups.room(seat.group):
                yield seat
            else:
                self.groups.pass_over(seat.group)

    def _sorted(self, priority: int, cursor: str | None, found: Sequence[Any]) -> list[Seat]:
        """All of them, where few jobs are due."""
        due = [*self._new(map(waiting, found)), *self._plain(priority)]
        rows = sorted(due, key=lambda row: (group_of(row.lane), row))
        seats = [Seat(name, deque(of_group)) for name, of_group in groupby(rows, lambda row: group_of(row.lane))]
        self.groups.look(seat.group for seat in seats)
        if cursor is None:
            return seats
        return [seat for seat in seats if seat.group > cursor] + [seat for seat in seats if seat.group <= cursor]

    def _known_lanes(self, priority: int) -> list[str] | None:
        """All lanes with due jobs, from a walk not long ago; None: nothing is known."""
        walk = recall(self.walks, self.policy.name, priority, self.room.paused_tags)
        if walk is None:
            return None
        since = self.trip.parameter(walk.since)
        new = self._read("read_due_since", priority=priority, since=since, most=MOST_NEW)
        if sum(number for _, number in new) == MOST_NEW:
            return None
        return sorted(filter(self.aside.is_open, {*walk.lanes, *(lane for lane, _ in new)}))

    def _recall(self, priority: int, cursor: str | None, lanes: Sequence[str]) -> Iterator[Seat]:
        """The groups in their turn, of lanes that are known."""
        limited, named = [lane for lane in lanes if lane < LAST], [lane for lane in lanes if lane > LAST]
        behind = [lane for lane in named if cursor is not None and group_of(lane) > cursor]
        yield from self._seats_of(priority, behind)
        yield from self._seat_without_group(priority, limited)
        yield from self._seats_of(priority, [lane for lane in named if cursor is None or group_of(lane) <= cursor])

    def _walk(self, priority: int, cursor: str | None) -> Iterator[Seat]:
        """The same lane by lane."""
        began, self._passed, self._due = clock.monotonic(), 0, set()
        if cursor is not None:
            yield from self._walk_from(priority, cursor + LAST, None)
        limited = self._limited_lanes(priority)
        if not self._is_enough:
            yield from self._seat_without_group(priority, limited)
        if cursor != "":
            yield from self._walk_from(priority, LAST, None if cursor is None else cursor + LAST)
        known = Walk(self.trip.now, frozenset({*self._due, *limited}), self.room.paused_tags)
        remember(self.walks, self.policy.name, priority, known, began=began, passed=self._passed)

    def _seat_without_group(self, priority: int, limited: Sequence[str]) -> Iterator[Seat]:
        rows = sorted([*self._plain(priority), *self._rows_of(priority, limited)])
        if rows:
            yield Seat("", deque(rows), ("", *limited))

    def _walk_from(self, priority: int, after: str, last: str | None) -> Iterator[Seat]:
        """The groups of the lanes behind `after`, up to `last`."""
        most = max(FIRST_PAGE, 2 * self.missing)
        while True:
            page = self._read("scan_lanes", priority=priority, after=after, most=most)
            is_last = len(page) < most or (last is not None and page[-1][0] > last)
            if not is_last:
                # more of its lanes may stand on the next page
                unfinished = group_of(page[-1][0])
                page = [row for row in page if group_of(row[0]) != unfinished]
            due = [lane for lane, ready in page if (last is None or lane <= last) and moment_of(ready) <= self.trip.now]
            self._passed += len(page)
            self._due.update(due)
            yield from self._seats_of(priority, due)
            if is_last or (self._is_enough and len(self._due) > FEW_DUE):
                return
            after, most = (page[-1][0], min(LONGEST_PAGE, most * GROWTH)) if page else (after, most * GROWTH)

    def _seats_of(self, priority: int, lanes: Sequence[str]) -> Iterator[Seat]:
        if self._is_enough:
            return
        groups = [(name, tuple(of_group)) for name, of_group in groupby(filter(self.aside.is_open, lanes), group_of)]
        self.groups.look(name for name, _ in groups)
        while groups and not self._is_enough:
            # the first job of as many as the claim still needs, and those that have no room between them
            some: list[tuple[str, tuple[str, ...]]] = []
            needed = max(1, self.missing)
            while groups and needed:
                some.append(groups.pop(0))
                needed -= self.groups.room(some[-1][0]) > 0
            asked = [lane for name, of_group in some if self.groups.room(name) for lane in of_group]
            rows = sorted(self._rows_of(priority, asked), key=lambda row: (group_of(row.lane), row))
            by_group = {name: deque(of_group) for name, of_group in groupby(rows, lambda row: group_of(row.lane))}
            for name, of_group in some:
                yield Seat(name, by_group.get(name, deque()), of_group)

    def _limited_lanes(self, priority: int) -> list[str]:
        """Those of tasks with limits whose jobs have no group: they stand before all others."""
        found: list[str] = []
        after, most = "", FIRST_PAGE
        while True:
            page = self._read("scan_lanes", priority=priority, after=after, most=most)
            found += [lane for lane, ready in page if lane < LAST and moment_of(ready) <= self.trip.now]
            if len(page) < most or page[-1][0] > LAST:
                return list(filter(self.aside.is_open, found))
            after, most = page[-1][0], min(LONGEST_PAGE, most * GROWTH)

    def _refill(self, priority: int, seat: Seat) -> bool:
        """Read more of a group's jobs; False: there are none."""
        lanes = [lane for lane in seat.lanes if lane]
        plain = self._plain(priority) if len(lanes) < len(seat.lanes) else []
        seat.rows = deque(sorted([*plain, *self._rows_of(priority, lanes, self.missing + len(self._picked))]))
        if not seat.rows:
            seat.lanes = ()
        return bool(seat.rows)

    # What is read

    def _plain(self, priority: int) -> list[Waiting]:
        most = self.missing + len(self._picked) + len(self._left_out)
        return self.aside.first(partial(self._first, "read_plain", priority), [""], most)

    def _rows_of(self, priority: int, lanes: Sequence[str], most: int = 1) -> list[Waiting]:
        return self.aside.first(partial(self._first, "read_lanes", priority), lanes, most + len(self._left_out))

    def _first(self, statement: str, priority: int, lanes: Sequence[str], most: int) -> list[Waiting]:
        return self._new(map(waiting, self._read(statement, priority=priority, lanes=json.dumps(lanes), most=most)))

    def _new(self, found: Iterable[Waiting]) -> list[Waiting]:
        """What is not picked yet."""
        seen = self._seen()
        free, stuck = self.aside.sift([row for row in found if row.id not in seen])
        self._left_out |= stuck
        return free

    def _seen(self) -> set[UUID]:
        return {row.id for row in self._picked} | self._left_out

    def _read(self, statement: str, **values: Any) -> list[Any]:
        return self.trip.run(statement, queue=self.policy.name, now=self.trip.parameter(self.trip.now), **values)
