"""The parent of the workers and the keeper: starts, watches and restarts them, and keeps their leases.

It runs no job and no query of its own thread, so that nothing can make it deaf for long.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

from .. import clock
from ..broker.contract import Broker
from ..broker.records import ProcessRecord
from ..work.trees import KILL_LIMIT
from .children import Child, Post
from .leases import Leases
from .programs import Programs
from .systemd import ServiceManager
from .watch import CodeWatch

logger = logging.getLogger("jobs.supervisor")

#: Seconds between two looks at the children.
LOOK_EVERY = 1.0
#: Seconds without a sign of life after which a child counts as hung.
SILENCE = 300.0
LONGEST_BACKOFF = 30.0
#: Seconds after which a child's start counts as good, and its backoff begins anew.
STEADY_AFTER = 60.0
#: How long a worn child works at least, in seconds: a limit that is too low shall not start one after the other.
SHORTEST_LIFE = 5.0
#: What a child may need after the grace time to end by itself.
EXIT_TIME = 0.5
#: How long, in seconds, the last releases may take at the end.
CLOSE_LIMIT = 10.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(slots=True, eq=False)
class _Place:
    """A post and who fills it."""

    post: Post
    child: Child | None = None
    successor: Child | None = None  # starts, and takes over when it is ready
    leaving: list[Child] = field(default_factory=list)  # drain, since another has taken over
    failures: int = 0
    start_at: float = 0.0
    ended_at: float = 0.0
    waits_for_change: bool = False

    def children(self) -> list[Child]:
        """All who live here."""
        return [child for child in (self.child, self.successor, *self.leaving) if child is not None]

    def hand_over(self) -> None:
        """Let the successor take over and the old one drain."""
        if self.child is not None:
            self.child.replaced = True
            self.child.drain()
            self.leaving.append(self.child)
        self.child, self.successor = self.successor, None

    def begin_anew(self) -> None:
        """Forget what went wrong with other code."""
        self.failures, self.start_at, self.waits_for_change = 0, 0.0, False


class Supervisor:
    """Fills the posts until it is told to stop (SIGTERM, SIGINT), with new children when it is told to (SIGHUP).

    `own` is how the broker knows this process; `command` starts a child; `lease` and `grace` are in seconds; `watch`
    makes a change of code restart the children.
    """

    def __init__(
        self,
        posts: Sequence[Post],
        broker: Broker,
        own: ProcessRecord,
        *,
        command: Sequence[str],
        lease: float,
        grace: float,
        watch: CodeWatch | None = None,
    ) -> None:
        queues = sorted({post.queue for post in posts if post.kind == "worker"})
        self._places = [_Place(post) for post in posts]
        self._alone = {queue: _Place(Post("worker", queue, threads=1, alone=True)) for queue in queues}
        self._own = own
        self._command = list(command)
        self._lease = lease
        self._grace = grace
        self._watch = watch
        self._code_changed = False
        self._has_terminal = _has_terminal()  # asked now: once it has hung up, nobody knows
        self._service_manager = ServiceManager()
        self._said_ready = False
        self._stopping = False
        self._to_restart: list[_Place] = []
        self._exit_code = 0
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = os.pipe()
        for end in (self._wake_out, self._wake_in):
            os.set_blocking(end, False)
        self._leases = Leases(broker, queues, lease, self._wake)

    def run(self) -> int:
        """Supervise; returns the exit code: 0 after a stop, 78 after a child's configuration error."""
        self._programs = Programs()
        self._listen_to_signals()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._leases.register(self._own)
        self._leases.start()
        logger.info("supervisor_started pid=%d children=%d", os.getpid(), len(self._places))
        look_at = 0.0
        while not self._stopping or self._manned():
            self._hear(max(0.0, look_at - clock.monotonic()))
            self._bury()
            self._programs.look(self._manned())
            if clock.monotonic() >= look_at:
                look_at = clock.monotonic() + LOOK_EVERY
                self._look_for_changes()
                self._look_at_children()
                self._show_life()
            if not self._stopping:
                self._fill()
                self._replace_worn()
                self._restart_next()
                self._show_readiness()
        self._leases.release(self._own, lost=False)
        self._leases.close(CLOSE_LIMIT)
        logger.info("supervisor_stopped pid=%d", os.getpid())
        return self._exit_code

    def _manned(self) -> list[Child]:
        return [child for place in self._all_places() for child in place.children()]

    def _all_places(self) -> list[_Place]:
        return [*self._places, *self._alone.values()]

    # What comes in

    def _listen_to_signals(self) -> None:
        for number in (*STOP_SIGNALS, signal.SIGCHLD, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, _noted)
        signal.set_wakeup_fd(self._wake_in, warn_on_full_buffer=False)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_in, b"\0")

    def _hear(self, limit: float) -> None:
        for key, _ in self._selector.select(limit):
            if key.fd != self._wake_out:
                key.data.listen()
                continue
            for number in os.read(self._wake_out, 512):
                if number in STOP_SIGNALS or (number == signal.SIGHUP and self._has_terminal):
                    self._stop(signal.Signals(number).name)
                elif number == signal.SIGHUP:
                    self._restart()

    def _stop(self, why: str) -> None:
        if not self._stopping:
            self._stopping = True
            self._service_manager.stopping(self._grace + EXIT_TIME + KILL_LIMIT + CLOSE_LIMIT)
            logger.info("stopping reason=%s grace=%gs: once more ends it now", why, self._grace)
            for child in self._manned():
                if child.replaced and child.worn:
                    child.draining_since = clock.monotonic()  # from now on its time is limited
                child.drain()
            return
        logger.warning("ending_now reason=%s", why)
        for child in self._manned():
            child.end("told to end now", interrupted=True)

    def _look_for_changes(self) -> None:
        changed = self._watch.changed() if self._watch and not self._stopping else ""
        if not changed:
            return
        logger.info("code_changed file=%s: the children start anew", changed)
        self._code_changed = True
        for place in self._all_places():
            place.begin_anew()
            if place.child is not None:
                place.child.outdated = True
                place.child.drain()

    def _restart(self) -> None:
        if self._stopping:
            return
        logger.info("restarting reason=SIGHUP: one by one, and each new child is ready before the old one drains")
        # a successor that is on its way may have read what has changed since, so its place comes once more
        self._to_restart = [*(place for place in self._places if place.successor is not None), *self._places]
        for place in self._all_places():
            place.begin_anew()
        for place in self._alone.values():  # the next job that must run alone starts another
            if place.child is not None:
                place.child.outdated = True
                place.child.drain()

    def _replace_worn(self) -> None:
        now = clock.monotonic()
        for place in self._places:
            child = place.child
            if child is None or not child.worn or child.draining_since is not None or now < place.start_at:
                continue
            # one after the other, and not in a circle of starts
            if any(one.worn for one in place.leaving) or now - child.born < SHORTEST_LIFE:
                continue
            if place.successor is None and place not in self._to_restart:
                logger.info("child_worn %s: another takes its place", child)
                self._to_restart.append(place)

    def _restart_next(self) -> None:
        while self._to_restart:
            place = self._to_restart[0]
            if place.successor is not None:
                if not place.successor.ready:
                    return
                place.hand_over()
            elif place.child is not None and place.child.draining_since is None:
                place.successor = self._start(place.post)
                if place.successor is not None:
                    return
            self._to_restart.pop(0)
            if not self._to_restart:
                logger.info("restarted")

    # The children

    def _look_at_children(self) -> None:
        now = clock.monotonic()
        lost = self._leases.lost
        for child in self._manned():
            if not child.is_stopped():
                child.stopped_since = None
            elif child.stopped_since is None:
                child.stopped_since = now
            if child.stopped_since is not None and now - child.stopped_since >= self._lease:
                child.end("stopped for one lease", interrupted=False)
            elif now - child.heard_at >= SILENCE:
                child.end(f"no sign of life for {SILENCE:.0f} s", interrupted=False)
            elif child.worn and child.replaced and not self._stopping:
                continue  # it has as long as its jobs take
            elif child.draining_since is not None and now - child.draining_since >= self._grace + EXIT_TIME:
                child.end("grace time over", interrupted=True)
            elif child.worker in lost and child.draining_since is None:
                logger.warning("lease_lost %s: another one takes its place when it has finished", child)
                child.drain()

    def _show_readiness(self) -> None:
        if not self._said_ready and all(place.child is not None and place.child.ready for place in self._places):
            self._said_ready = True
            self._service_manager.ready()

    def _show_life(self) -> None:
        """Say that all is well, unless something has hung that the supervisor itself cannot end."""
        now = clock.monotonic()
        if self._leases.is_alive() and all(now - child.heard_at < SILENCE for child in self._manned()):
            self._service_manager.alive()

    def _bury(self) -> None:
        for place in self._all_places():
            for child in place.children():
                if (code := child.process.poll()) is not None:
                    self._bury_one(place, child, code)

    def _bury_one(self, place: _Place, child: Child, code: int) -> None:
        child.listen()
        self._selector.unregister(child.beats)
        child.forget()
        self._programs.end_those_of(child, [other for other in self._manned() if other is not child])
        died = code != 0 and not child.interrupted
        self._leases.release(child.record(), lost=died)
        self._report(child, code, died)
        if child in place.leaving:
            place.leaving.remove(child)
        elif child is place.successor:
            place.successor = None
            place.start_at = clock.monotonic() + LONGEST_BACKOFF
            self._to_restart.clear()
            logger.error("restart_given_up %s does not start: the others stay as they are", child)
        elif place.successor is not None:
            place.child, place.successor = place.successor, None
            self._to_restart.remove(place)
        else:
            place.child = None
            self._plan_next(place, child, code, died)

    def _report(self, child: Child, code: int, died: bool) -> None:
        level = logging.ERROR if died else logging.INFO
        logger.log(level, "child_ended %s code=%d%s", child, code, child.ended_for and f" reason={child.ended_for!r}")

    def _plan_next(self, place: _Place, child: Child, code: int, died: bool) -> None:
        place.ended_at = now = clock.monotonic()
        if code == os.EX_CONFIG and not self._code_changed:
            logger.error("wrong_configuration %s: see its message above; it is not started again", child)
            self._exit_code = os.EX_CONFIG
            if not self._stopping:
                self._stop("wrong configuration")
        elif died and code > 0 and not child.ready and self._watch is not None:
            logger.error("child_cannot_start %s: waiting for a change of code", child)
            place.waits_for_change = True
        elif died or (child.draining_since is not None and not child.outdated):
            # a child for one job was meant to die with it: only one that did not even start counts
            steady = now - child.born >= STEADY_AFTER or (place.post.alone and child.ready)
            place.failures = 1 if steady else place.failures + 1
            delay = min(2.0 ** (place.failures - 1), LONGEST_BACKOFF)
            place.start_at = now + delay
        else:
            place.failures, place.start_at = 0, now

    def _fill(self) -> None:
        now = clock.monotonic()
        alone, looked_at = self._leases.alone, self._leases.looked_at
        for place in self._all_places():
            if place.child is not None or place.waits_for_change or now < place.start_at:
                continue
            if place.post.alone and (place.post.queue not in alone or looked_at <= place.ended_at):
                continue
            place.child = self._start(place.post)
            if place.child is None:
                place.failures += 1
                place.start_at = now + min(2.0 ** (place.failures - 1), LONGEST_BACKOFF)

    def _start(self, post: Post) -> Child | None:
        try:
            child = Child(post, self._command)
        except OSError as error:
            logger.error("child_not_started %s: %s", post, error)
            return None
        self._selector.register(child.beats, selectors.EVENT_READ, child)
        self._leases.register(child.record())
        logger.info("child_started %s worker=%s", child, child.worker)
        return child


def _has_terminal() -> bool:
    """Whether this process was started on a terminal, which hangs up on it when it is closed."""
    if any(os.isatty(end) for end in (0, 1, 2)):
        return True
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _noted(number: int, frame: FrameType | None) -> None:
    """Python writes a signal to the wake-up pipe only if it has a handler."""
