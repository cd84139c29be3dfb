"""Waiting for jobs to end: one thread a process asks for all of them at once, and who waits sleeps.

It begins with the first who waits and ends after the last, and its connection with it. It looks often while somebody
has just begun to wait, more seldom the longer all have waited, and never so often that the looks take more than a small
share of a core. A database that does not answer is asked again until nobody waits any more.
"""

from __future__ import annotations

import os
import threading
import time
from asyncio import Event, get_running_loop, wait_for
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connections

from .. import clock
from ..broker import get_broker
from ..conf import jobs_settings
from ..connections import close_replaced_connections
from ..models import Job
from ..sqlite_files import is_in_memory
from ..states import ENDED
from . import live

#: Seconds between two looks: a share of the time for which the youngest has waited, within these bounds.
QUICKEST, SLOWEST, SHARE = 0.005, 0.1, 0.1
#: So many times the CPU time of a look pass until the next.
REST = 25
#: The longest pause, in seconds, after looks that failed.
LONGEST_PAUSE = 1.0
#: For so many seconds the thread and its connection stay when nobody waits any more.
LINGER = 0.2
#: Jobs of one query.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job stood when it was last looked at; no state: no such job is known."""

    state: str
    result: str | None = None
    text: str = ""

    @property
    def final(self) -> bool:
        """Whether nothing more will come."""
        return not self.state or self.state in ENDED


@dataclass(slots=True, eq=False)
class _Wait:
    job_id: UUID
    since: float
    ended: threading.Event = field(default_factory=threading.Event)
    looked: threading.Event = field(default_factory=threading.Event)
    seen: Ending | None = None
    tell: Callable[[], object] | None = None  # who waits on an event loop


def look(job_ids: Sequence[UUID]) -> dict[UUID, Ending]:
    """How these jobs stand now, by one query on this thread's connection; what has ended is heard of at once.

    Raises `BrokerAway` where only a broker outside the database could tell.
    """
    found = _look(job_ids)
    if get_broker().rows_are_the_queue or all(one.final and one.state for one in found.values()):
        return found
    live.hear()
    found = _look(job_ids)
    if unknown := [id for id, one in found.items() if not one.state]:
        found.update({id: Ending(job.state) for id in unknown if (job := live.find(id)) is not None})
        if ended := [id for id in unknown if not found[id].state]:
            # between the two looks, or never there
            live.hear()
            found.update(_look(ended))
    return found


def _look(job_ids: Sequence[UUID]) -> dict[UUID, Ending]:
    rows = Job.objects.using(jobs_settings().database).filter(pk__in=job_ids)
    found = {
        id: Ending(state, result, error or reason)
        for id, state, result, error, reason in rows.values_list("pk", "state", "result", "error", "reason")
    }
    return {id: found.get(id, Ending("")) for id in job_ids}


def wait_for_end(job_id: UUID, timeout: float) -> tuple[Ending | None, str]:
    """Wait until the job has ended, `timeout` seconds at most; returns how it stood last, and what went wrong since.

    None: no look at it has succeeded. Raises nothing, whatever the database does.
    """
    if only_here():
        return _wait_here(job_id, timeout), ""
    return _lookout.wait(job_id, timeout)


async def await_end(job_id: UUID, timeout: float) -> tuple[Ending | None, str]:
    """The same on an event loop, which goes on meanwhile; not where `only_here`."""
    return await _lookout.wait_async(job_id, timeout)


def only_here() -> bool:
    """Whether another thread may see nothing: of a database in memory."""
    return is_in_memory(str(connections[jobs_settings().database].settings_dict["NAME"]))


def stop_looking() -> None:
    """Close the connection at once, if nobody waits."""
    _lookout.stop()


def _wait_here(job_id: UUID, timeout: float) -> Ending:
    """The same by this thread itself: of a database in memory another one may see nothing."""
    until = clock.monotonic() + timeout
    while True:
        seen = look([job_id])[job_id]
        if seen.final or clock.monotonic() >= until:
            return seen
        time.sleep(QUICKEST)


class _Lookout:
    """The one that looks for all who wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waits: set[_Wait] = set()
        self._thread: threading.Thread | None = None
        self._news = False
        self._hurry = False
        self._trouble = ""
        #: the connection as the driver knows it: a forked child must not close it
        self.connection: object = None

    def wait(self, job_id: UUID, timeout: float) -> tuple[Ending | None, str]:
        one = _Wait(job_id, clock.monotonic())
        self._begin(one)
        try:
            # however short the time is, one look there is
            if not one.ended.wait(min(timeout, threading.TIMEOUT_MAX)) and timeout < LONGEST_PAUSE:
                one.looked.wait(LONGEST_PAUSE - timeout)
        finally:
            self._leave(one)
        return one.seen, self._trouble

    async def wait_async(self, job_id: UUID, timeout: float) -> tuple[Ending | None, str]:
        loop, woken = get_running_loop(), Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended, and who waited with it
                loop.call_soon_threadsafe(woken.set)

        one = _Wait(job_id, clock.monotonic(), tell=wake)
        self._begin(one)
        try:
            with suppress(TimeoutError):
                await wait_for(woken.wait(), min(timeout, threading.TIMEOUT_MAX))
        finally:
            self._leave(one)
        return one.seen, self._trouble

    def _begin(self, one: _Wait) -> None:
        with self._changed:
            self._waits.add(one)
            self._news = True
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="jobs-endings", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _leave(self, one: _Wait) -> None:
        with self._changed:
            self._waits.discard(one)

    def stop(self) -> None:
        with self._changed:
            thread, self._hurry = self._thread, True
            self._changed.notify_all()
            idle = not self._waits
        if thread is not None and idle:
            thread.join(LONGEST_PAUSE)

    def _run(self) -> None:
        failures = 0
        try:
            while waits := self._next():
                began = time.thread_time()
                try:
                    self._look_for(waits)
                    self._trouble, failures = "", 0
                except Exception as error:  # what is wrong, they are told when their time is over
                    self._trouble = f"{type(error).__name__}: {' '.join(str(error).split())}"
                    failures += 1
                    self._close()
                    for one in waits:
                        one.looked.set()
                self._rest(waits, time.thread_time() - began, failures)
        finally:
            connections.close_all()

    def _next(self) -> list[_Wait]:
        """Who waits; empty when nobody has for a while, and then this thread is no longer the one that looks."""
        with self._changed:
            if not self._waits:
                self._changed.wait_for(lambda: self._waits or self._hurry, LINGER)
            self._news = self._hurry = False
            if not self._waits:
                # under the lock: whoever comes now starts another thread
                self._close()
                self._thread = None
            return list(self._waits)

    def _look_for(self, waits: Sequence[_Wait]) -> None:
        close_replaced_connections()
        ids = list({one.job_id for one in waits})
        seen: dict[UUID, Ending] = {}
        for start in range(0, len(ids), BATCH):
            seen.update(look(ids[start : start + BATCH]))
        self.connection = connections[jobs_settings().database].connection
        ended = []
        for one in waits:
            one.seen = seen[one.job_id]
            if one.seen.final:
                ended.append(one)
                one.ended.set()
                if one.tell is not None:
                    one.tell()
            one.looked.set()
        with self._changed:
            self._waits.difference_update(ended)

    def _rest(self, waits: Sequence[_Wait], cost: float, failures: int) -> None:
        youngest = clock.monotonic() - max(one.since for one in waits)
        least = max(QUICKEST, cost * REST)
        pause = max(least, min(youngest * SHARE, SLOWEST))
        if failures:
            least = pause = min(SLOWEST * 2**failures, LONGEST_PAUSE)
        begun = clock.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: self._news or not self._waits, pause)
            if not self._waits:
                return
        # somebody new is looked for soon, but not before the last look has been paid for
        time.sleep(max(0.0, least - (clock.monotonic() - begun)))

    def _close(self) -> None:
        self.connection = None
        connections.close_all()


_lookout = _Lookout()
#: Connections inherited over fork: to close them here could harm the parent's.
_inherited: list[object] = []


def _after_fork() -> None:
    global _lookout
    _inherited.append(_lookout.connection)
    _lookout = _Lookout()


os.register_at_fork(after_in_child=_after_fork)
