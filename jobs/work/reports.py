"""Progress and log lines of running tasks on their way to the database, off the tasks' own way.

One thread a process writes for all its jobs: of a job at most twice a second, and once more when it has ended. It
begins with the first job that tells something. A database that is away makes it later, and the task does not notice;
what waits is bounded.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connections, transaction

from .. import clock, reasons
from ..broker.records import ClaimedJob
from ..conf import jobs_settings
from ..connections import close_obsolete_connections
from ..define.desk import LONGEST_LINE, LONGEST_TEXT, Progress
from ..define.masks import Mask
from ..errors import BrokerAway, RetryLater
from ..history import inside
from ..visible import visible
from .error_texts import line_of

logger = logging.getLogger("jobs.execution")

#: Seconds between two writes of one job; after a write that failed; and until an idle thread gives its connection back.
EVERY, AGAIN, IDLE = 0.5, 1.0, 10.0
#: Seconds until a job is due again that could not keep something.
RETRY = 5.0
#: Jobs whose news waits for the database, at most; of more, the oldest go untold.
MOST_WAITING = 1_000
R = TypeVar("R")
#: done, total, text, when
Latest = tuple[float, float | None, str, datetime]
_AWAY = (OperationalError, InterfaceError)


@dataclass(slots=True)
class Told:
    """What is being written of a desk; `parts` are its rows of log lines, these included once they are written."""

    latest: Latest | None
    lines: list[inside.Line]
    parts: list[inside.Part]


class JobDesk:
    """Takes what one start of a job tells and keeps; see `jobs.define.desk.Desk`."""

    def __init__(self, job: ClaimedJob, mask: Mask, still_mine: Callable[[], bool]) -> None:
        self.job = job
        self.wrote_at = float("-inf")
        self._mask = mask
        self._still_mine = still_mine
        self._lock = threading.Lock()
        self._noted = False
        self._latest: Latest | None = None
        self._written: Latest | None = None
        self._lines: deque[inside.Line] = deque()
        self._size = 0
        self._number = 0
        self._parts: list[inside.Part] = []

    def progress(self, done: float, total: float | None, text: str) -> None:
        """The latest wins."""
        self._latest = (done, total, text, self._now())
        self._note()

    def log(self, text: str) -> None:
        """Beyond the bound of what is kept, the oldest lines go."""
        text = text[: 4 * LONGEST_LINE]
        with self._lock:
            self._number += 1
            self._lines.append((self._number, self._now().timestamp(), text))
            self._size += len(text)
            while len(self._lines) > inside.MOST_LINES or self._size > 4 * inside.MOST_BYTES:
                self._size -= len(self._lines.popleft()[2])
        self._note()

    def open(self) -> Mapping[str, str]:
        """See `jobs.history.inside.open_kept`."""
        return self._surely(lambda: inside.open_kept(self.job, self._still_mine))

    def keep(self, name: str, value: str, *, stopped: bool = False) -> None:
        """See `jobs.history.inside.keep`."""
        self._surely(lambda: inside.keep(self.job, name, value, self._still_mine, stopped=stopped))

    def end(self) -> None:
        """The start is over: write what is left."""
        if _reporter is not None:
            _reporter.note(self, at_once=True)
            return
        try:
            write([self])
        except Exception as error:  # it is news about a job, and how that ended is more
            logger.warning("reports_failed id=%s error=%s", self.job.id, line_of(error))

    def take(self) -> Told:
        """What is not written yet."""
        with self._lock:
            self._noted = False
            latest = self._latest
            return Told(None if latest is self._written else latest, list(self._lines), list(self._parts))

    def tell(self, told: Told) -> None:
        """Write it, in the caller's transaction."""
        inside.tell(self.job, self._shown(told.latest), self._masked(told.lines), told.parts)

    def told(self, told: Told) -> None:
        """It is written, and committed."""
        self._parts, self.wrote_at = told.parts, clock.monotonic()
        if told.latest is not None:
            self._written = told.latest
        with self._lock:
            while told.lines and self._lines and self._lines[0][0] <= told.lines[-1][0]:
                self._size -= len(self._lines.popleft()[2])

    def _shown(self, latest: Latest | None) -> Progress | None:
        if latest is None:
            return None
        done, total, text, at = latest
        return Progress(done, total, _cut(visible(" ".join(self._mask(text).split())), LONGEST_TEXT), at)

    def _masked(self, lines: Sequence[inside.Line]) -> list[inside.Line]:
        return [(number, at, _cut(visible(self._mask(text), keep="\n\t"), LONGEST_LINE)) for number, at, text in lines]

    def _note(self) -> None:
        if not self._noted:
            self._noted = True
            if _reporter is not None:
                _reporter.note(self)

    def _now(self) -> datetime:
        """The broker's time: this machine's clock may be wrong."""
        return self.job.claimed_at + timedelta(seconds=self.job.seconds_since_claim())

    def _surely(self, act: Callable[[], R]) -> R:
        """What the task relies on happens, or the task goes back: a connection that broke is tried once more."""
        connection = connections[jobs_settings().database]
        try:
            return act()
        except (*_AWAY, BrokerAway) as error:
            failure = error
        if not connection.in_atomic_block and connection.get_autocommit():
            connection.close_if_unusable_or_obsolete()
            try:
                return act()
            except (*_AWAY, BrokerAway) as error:
                failure = error
        text = reasons.NOT_KEPT_YET % {"error": line_of(failure)}
        raise RetryLater(RETRY, reason=text) from failure


class Reporter:
    """The thread that writes for all jobs of this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[JobDesk, float] = {}
        self._thread: threading.Thread | None = None
        self._ending, self._until = False, 0.0
        self._failed = False

    def note(self, desk: JobDesk, *, at_once: bool = False) -> None:
        """Something is to be written for the desk, now or when its time has come."""
        with self._changed:
            due = 0.0 if at_once else desk.wrote_at + EVERY
            self._due[desk] = min(due, self._due.get(desk, due))
            if len(self._due) > MOST_WAITING:
                lost = next(iter(self._due))
                del self._due[lost]
                logger.warning("report_dropped id=%s: the database has been away for too long", lost.job.id)
            if self._thread is None and not self._ending:
                self._thread = threading.Thread(target=self._run, name="jobs-reports", daemon=True)
                self._thread.start()
            self._changed.notify()

    def end(self, timeout: float) -> None:
        """Write everything now; gives up after `timeout` seconds."""
        with self._changed:
            self._ending, self._until = True, clock.monotonic() + timeout
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _run(self) -> None:
        has_rested = False
        try:
            while (desks := self._next(has_rested)) is not None:
                has_rested = not desks
                if has_rested:  # nobody has told anything for a while
                    connections.close_all()
                    continue
                failed = self._write(desks)
                with self._changed:
                    if self._ending and failed:
                        if clock.monotonic() >= self._until:
                            return
                        self._changed.wait(AGAIN)
                    for desk in failed:
                        self._due.setdefault(desk, clock.monotonic() + AGAIN)
        finally:
            connections.close_all()

    def _next(self, has_rested: bool) -> list[JobDesk] | None:
        """Whose time has come; nobody after a rest; None at the end."""
        with self._changed:
            while True:
                now = clock.monotonic()
                ready = [desk for desk, due in self._due.items() if due <= now or self._ending]
                if ready:
                    for desk in ready:
                        del self._due[desk]
                    return ready
                if self._ending:
                    return None
                if self._due:
                    self._changed.wait(min(self._due.values()) - now)
                elif not self._changed.wait(None if has_rested else IDLE) and not self._due:
                    return []

    def _write(self, desks: Sequence[JobDesk]) -> list[JobDesk]:
        """Write for the desks; returns those for which it failed."""
        failed: list[JobDesk] = []
        error: Exception | None = None
        close_obsolete_connections()
        try:
            write(desks)
        except Exception as raised:
            error = raised
            connections.close_all()
            # one that the database refuses must not keep the others waiting
            for desk in desks if len(desks) > 1 and not isinstance(raised, _AWAY) else ():
                try:
                    write([desk])
                except Exception as refused:
                    error = refused
                    failed.append(desk)
            if len(desks) == 1 or isinstance(raised, _AWAY):
                failed = list(desks)
        if failed and not self._failed:
            text = line_of(error) if error is not None else ""
            logger.warning("reports_failed jobs=%d error=%s: written again", len(failed), text)
        self._failed = bool(failed)
        return failed


def write(desks: Sequence[JobDesk]) -> None:
    """Write what these desks have to tell, in one transaction; raises the database's errors, and may be repeated."""
    told = [(desk, desk.take()) for desk in desks]
    if not any(one.latest or one.lines for _, one in told):
        return
    with transaction.atomic(using=jobs_settings().database):
        for desk, one in told:
            desk.tell(one)
    for desk, one in told:
        desk.told(one)


_reporter: Reporter | None = None


def begin() -> None:
    """From now on a thread of this process writes; until then each start writes at its end, by itself."""
    global _reporter
    _reporter = Reporter()


def finish(timeout: float) -> None:
    """Write what is left, for `timeout` seconds at most, and end the thread."""
    global _reporter
    reporter, _reporter = _reporter, None
    if reporter is not None:
        reporter.end(timeout)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
