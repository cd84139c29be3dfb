"""The threads of a worker process, of which one at a time speaks to the broker.

Leader and followers: a thread that finds no claimed job left makes the exchange, in which it settles everything that
has ended and claims a job for each thread that is free. It then runs these jobs one after the other, without any
thread's being woken: a switch costs more than a short job. One thread that is free keeps watch: where a job takes
longer than a switch is worth, it lets the others begin what was claimed beside it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from collections import deque
from collections.abc import Callable
from uuid import UUID

from .. import clock, reasons
from ..broker.contract import Broker
from ..broker.records import ClaimedJob, Exchange, Failed, Retried, Settlement
from ..define.context import running
from ..define.queue import Queue
from ..errors import BrokerAway
from .announce import Announcer, seconds_run
from .at_once import AtOnce
from .breakers import Breakers
from .bulk import execute_bulk
from .calls import Call, Ended, calls_of, handed_back, jobs_of, take_ended
from .exchanges import Exchanges, Request
from .execution import Tell, execute
from .forks import call
from .places import Places
from .seats import Seat, Seats, rouse
from .trouble import Trouble
from .watch import SHORT, TICK, Watch

logger = logging.getLogger("jobs.worker")

#: The longest time, in seconds, that a free thread does not look for new jobs (G6); and the same for a pool that has
#: had none for QUIET_AFTER seconds, since looking is what an idle worker costs.
LONGEST_WAIT, QUIET_WAIT, QUIET_AFTER = 0.050, 0.075, 5.0
#: The same while the broker sends word of new jobs, which may get lost; and the shortest.
HINTED_WAIT, SHORTEST_WAIT = 1.0, 0.001
#: After a job that takes longer than `SHORT`, for so many claims all threads are woken at once.
LONG_FOR = 32


class Pool:
    """What the threads share: calls claimed and not begun, settlements not yet sent, and who leads.

    `threads` are on their way. With `alone`, jobs that must run alone are claimed until one of them ends badly, and
    then the pool closes by itself. A test may `run` something else than `execute`.
    """

    def __init__(
        self,
        queue: Queue,
        broker: Broker,
        worker_id: UUID,
        *,
        alone: bool = False,
        threads: int = 0,
        run: Callable[[ClaimedJob], Settlement | None] | None = None,
        breakers: Breakers | None = None,
    ) -> None:
        self.announcer = Announcer(queue)
        self._queue = queue
        self._broker = broker
        self._worker_id = worker_id
        self._run = run or self.execute
        self._breakers = breakers
        # popped and filled without the lock; neither is ever replaced by another
        self._ready: deque[Call] = deque()
        self._done: deque[Ended] = deque()
        # all that follows changes under the lock; it is never held while anything is waited for
        self._lock = threading.Lock()
        self._seats = Seats()
        self._exchanges = Exchanges(queue.policy, broker, worker_id, alone, breakers)
        self._trouble = Trouble()
        self._leader: Seat | None = None
        self._closing = False
        self.broken = False  # a thread has left by an error
        self._alone = alone
        self.places = Places(coming=threads)
        self._at_once = AtOnce(queue.policy.rate_limit is not None)
        self._running = 0  # calls that are claimed, and not known to have ended
        self._unsettled = 0  # jobs that have ended, and are not settled
        self._hinted = False  # the broker sends word of new jobs
        #: cleared while there is no room for what a hint tells of
        self.room = threading.Event()
        self.room.set()
        self._hint_at = self._look_at = self._worked_at = 0.0
        self._long, self._watch = LONG_FOR, Watch()
        self.claimed = self._drained = self.jobs = 0  # calls in all, and claimed jobs

    @property
    def held(self) -> int:
        """How many calls and jobs this process holds: claimed and not settled."""
        with self._lock:
            return self._running + self._unsettled

    def idle_for(self, seconds: float) -> bool:
        """Whether nothing was claimed or settled for so long."""
        return not self.held and clock.monotonic() - self._worked_at >= seconds

    def close(self) -> None:
        """Claim nothing more; the threads leave when what runs is finished and settled."""
        with self._lock:
            self._closing = True
            self._hand_back_ready()
            seats = self._seats.call_all()
        rouse(seats)

    def keep_to(self, places: int, *, paced: bool) -> int:
        """Let so many threads work; others leave when they have nothing to do. Returns how many are to be started."""
        with self._lock:
            missing = 0 if self._closing else self.places.keep_to(places)
            self._at_once.paced, self._look_at = paced, 0.0
            seats = self._seats.call_all()
        rouse(seats)
        return missing

    def expect_fewer(self, number: int) -> None:
        """So many of the threads that were to be started could not be."""
        with self._lock:
            self.places.expect_fewer(number)

    def hear(self, hint: bool | None) -> bool:
        """There may be something to claim (True), or not (False); None: from now on no hint will come.

        Returns False where there is no room for it: `room` is set again when an exchange has brought less than wanted.
        """
        with self._lock:
            is_of_use = not hint or self._wants > 0
            if not is_of_use:
                self.room.clear()
            changed = self._hinted != (hint is not None)
            self._hinted = hint is not None
        if hint or changed:
            self.look()
        return is_of_use

    def look(self) -> None:
        """Ask the broker at once, whatever was known until now."""
        with self._lock:
            self._hint_at, self._look_at = clock.monotonic(), 0.0
            seats = self._seats.call_watch() if self._leader is None else []
        rouse(seats)

    def fill_place(self, job: UUID) -> bool:
        """Let another thread have the place of a job that runs on past its time; whether one is to be started."""
        with self._lock:
            starts = self.places.fill(job, running)
            self._trouble.late = len(self.places.late)
            seats = self._seats.call_watch()
        rouse(seats)
        return starts

    def work(self) -> bool:
        """The life of one thread; returns True when the pool is closed, False when there are more threads than places.

        What it raises is the pool's own mistake, after which nobody can know what is still held: the pool closes, and
        what it holds goes back with the end of the process.
        """
        seat, ready, done = Seat(), self._ready, self._done
        with self._lock:
            self.places.arrive()
        try:
            while True:
                try:
                    begun = ready.popleft()
                except IndexError:
                    if not self._find_work(seat):
                        return self._closing
                else:
                    done.append(self._run_guarded(begun))
                    if self.places.late:
                        self._come_back(begun)
        except BaseException:
            self.broken = True
            self.close()
            with self._lock:
                self.places.leave()
                if self._leader is seat:
                    self._leader = None
                seats = self._seats.call_all()
            rouse(seats)
            raise

    def execute(self, job: ClaimedJob, tell: Tell | None = None) -> Settlement | None:
        """Run a job in the caller's thread; `tell` is told, in the announcer's place, what an atomic task settled."""
        return call(execute, job, self._queue, self._worker_id, tell or self.announcer.put)

    def _come_back(self, ended: Call) -> None:
        with self._lock:
            for job in jobs_of(ended):
                self.places.back(job.id)
            self._trouble.late = len(self.places.late)

    def _run_guarded(self, begun: Call) -> Ended:
        try:
            if isinstance(begun, tuple):
                return call(execute_bulk, begun, self._queue, self._worker_id, self._breakers)
            return self._run(begun)
        except BaseException as error:
            # `execute` answers with an outcome whatever the task does; this is the engine's own mistake
            with contextlib.suppress(Exception):  # a log that fails too
                logger.exception("engine_error id=%s queue=%s", jobs_of(begun)[0].id, self._queue.name)
            self._complain(error)
            return handed_back(begun, reasons.ENGINE_ERROR % {"error": type(error).__name__}, delay=5.0)

    def _find_work(self, seat: Seat) -> bool:
        """Lead, watch or sleep until a job is ready; False: there will be none."""
        watched = False
        while True:
            if not (watched or self._ready):  # the watch has to stay awake: nobody calls it from a receiver
                self.announcer.tell()
            seats: list[Seat] = []
            with self._lock:
                now = clock.monotonic()
                stuck = not watched or self._is_stuck(now)
                if self._ready and stuck:
                    seats = self._share_out() if watched else self._seats.call_to_watch()
                    found: bool | None = True
                elif not self._ready and self._is_over:
                    self.places.leave()
                    seats = self._seats.call_all() if self._closing else self._seats.call_to_watch()
                    found = False
                else:
                    found = None
                    leads = not self._ready and self._may_lead(now, stuck)
                    if leads:
                        self._leader = seat
                        request = self._next_request(now)
                    else:
                        wait = self._seats.sit_down(seat, self._next_alarm(now), now)
            rouse(seats)
            if found is not None:
                return found
            if leads:
                self._lead(request)
                watched = False
            else:
                watched = self._sleep(seat, wait)

    def _sleep(self, seat: Seat, wait: float) -> bool:
        """Whether this thread wakes to watch."""
        if seat.lock.acquire(timeout=wait):
            return seat.to_watch
        with self._lock:
            if self._seats.get_up(seat):
                return True
        seat.lock.acquire()
        return seat.to_watch

    # Leading

    def _may_lead(self, now: float, stuck: bool) -> bool:
        if self._leader is not None or now < self._exchanges.retry_at:
            return False
        if (self._done and stuck) or self._exchanges.is_due(now):
            return True
        return now >= self._look_at and self._wants > 0

    @property
    def _wants(self) -> int:
        """For how many more jobs there is room; what has ended has made room, settled or not."""
        if self._closing:
            return 0
        return self.places.room(self._running)

    @property
    def _is_over(self) -> bool:
        """Whether a thread is to leave: the pool closes, or there is one too many; what has ended is settled first."""
        rest = self._leader or self._done or self._exchanges.has_more
        return (self._closing or self.places.has_surplus) and not rest

    def _next_request(self, now: float) -> Request | None:
        """What to say to the broker; None: nothing."""
        settlements = self._drain()
        if self._alone and any(isinstance(settlement.outcome, (Failed, Retried)) for settlement in settlements):
            self._closing = True  # who knows what it left behind in this process
        self._trouble.learn(settlements, now)
        if self._long and 2 * sum(seconds_run(settlement) < SHORT for settlement in settlements) > len(settlements):
            self._long = 0
        wanted = self._at_once.limit(self._trouble.limit(self._wants, now), settlements)
        return self._exchanges.next(settlements, wanted, now)

    def _drain(self) -> list[Settlement]:
        ended, calls = take_ended(self._done)
        self._running -= calls
        self._drained += calls
        self._unsettled += len(ended)
        return ended

    def _lead(self, request: Request | None) -> None:
        """Make one exchange."""
        began = clock.monotonic()
        answer: Exchange | None = None
        error: BaseException | None = None
        try:
            if request is not None:
                answer = self._exchanges.make(request)
        except BaseException as raised:  # whatever it is, somebody must be able to lead again
            error = raised
        first, outage = False, None
        with self._lock:
            self._leader = None
            now = clock.monotonic()
            if error is not None:
                first = self._exchanges.failed(error, now)
            elif request is None or answer is None:
                self._look_at = max(self._look_at, now + SHORTEST_WAIT, self._trouble.claim_at)
            else:
                outage = self._exchanges.outage(now)
                self._take(answer, request, began, now)
            seats = self._pass_on(now)
        rouse(seats)
        if outage is not None:
            logger.info("broker_answers_again outage=%.1fs", outage)
        if error is not None and not isinstance(error, BrokerAway) and request is not None and request.settlements:
            jobs = len(request.settlements)
            logger.error("settle_failed queue=%s jobs=%d: said again", self._queue.name, jobs, exc_info=error)
        if error is not None and first:
            self._complain(error)
        self._trouble.tell(self._broker, self._worker_id, self._queue.name, now)
        self.announcer.report(self._broker, self._worker_id, now)

    def _take(self, answer: Exchange, request: Request, began: float, now: float) -> None:
        """Note what an exchange has brought."""
        answered, calls = self._exchanges.answered(answer.settled, now), calls_of(answer.jobs, self._queue)
        self._unsettled -= len(answered)
        for settlement, settled in answered:
            self.announcer.put(settlement, settled)
        self._running += len(calls)
        self.claimed += len(calls)
        self.jobs += len(answer.jobs)
        self._ready.extend(calls)
        if self._closing:
            self._hand_back_ready()
        if calls:
            self._watch.claimed(self.claimed - len(self._ready), now)
        if calls or request.settlements:
            self._worked_at = now
        self._look_at = now
        if len(calls) < request.wanted:
            self.room.set()
        if len(calls) < request.wanted and self._hint_at < began:
            is_quiet = now - self._worked_at > QUIET_AFTER
            longest = HINTED_WAIT if self._hinted else QUIET_WAIT if is_quiet else LONGEST_WAIT
            self._look_at = now + max(longest if answer.wait is None else min(answer.wait, longest), SHORTEST_WAIT)

    def _hand_back_ready(self) -> None:
        with contextlib.suppress(IndexError):  # a call's thread was faster
            while self._ready:
                self._done.append(handed_back(self._ready.popleft(), reasons.WORKER_STOPS))

    def _complain(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        with contextlib.suppress(BaseException):  # a log that fails too
            logger.error("broker_failed queue=%s pid=%d %s", self._queue.name, os.getpid(), text)
        self.announcer.put_error(error)

    # Waking and watching

    def _pass_on(self, now: float) -> list[Seat]:
        """Whom the leader wakes when it comes back: for long jobs everybody, else at most the watch."""
        if self._closing or self.places.has_surplus:
            return self._seats.call_all()
        waiting = len(self._ready)
        seats: list[Seat] = []
        if self._long and waiting > 1:
            self._long -= 1
        if self._long and waiting:
            # the leader takes one itself; and somebody may lead at once, where there is something to say
            more = bool(self._done) or (now >= max(self._look_at, self._exchanges.retry_at) and self._wants > 0)
            seats = self._seats.call(waiting - 1 + more)
        return seats + self._seats.call_watch(before=self._next_alarm(now) + TICK)

    def _share_out(self) -> list[Seat]:
        """The watch has seen that jobs take long: all that waits is begun now, one of it by this thread."""
        self._long = LONG_FOR
        return self._seats.call(len(self._ready) - 1) + self._seats.call_to_watch()

    def _is_stuck(self, now: float) -> bool:
        """Whether what waits has made no progress worth the name since the watch looked last."""
        drained = self._drained if self._done else -1
        return self._watch.is_stuck(bool(self._ready), self.claimed - len(self._ready), drained, now)

    def _next_alarm(self, now: float) -> float:
        """When the watch has to look next."""
        if (tick := self._watch.next_tick(bool(self._ready), now)) is not None:
            return tick
        if self._leader is not None:
            return math.inf
        look_at = self._look_at if self._wants > 0 else math.inf
        return self._exchanges.due_at(min(look_at, now + TICK) if self._done else look_at)
