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
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

from .. import clock, reasons, signals
from ..broker.contract import Broker
from ..broker.records import Answer, ClaimedJob, Exchange, Failed, HandedBack, Retried, Settled, Settlement
from ..define.queue import Queue
from ..errors import BrokerAway
from .announce import Announcer
from .execution import execute
from .forks import call

logger = logging.getLogger("jobs.worker")

#: The longest time, in seconds, that a free thread does not look for new jobs (G6); and the same for a pool that has
#: had none for QUIET_AFTER seconds, since looking is what an idle worker costs.
LONGEST_WAIT, QUIET_WAIT, QUIET_AFTER = 0.050, 0.075, 5.0
#: The same while the broker sends word of new jobs, which may get lost.
HINTED_WAIT = 1.0
SHORTEST_WAIT = 0.001
#: No thread that keeps watch sleeps longer, whatever there is to wait for.
LONGEST_WATCH = 5.0
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0
#: Seconds until a settlement is said again whose job somebody else had locked: at first, and at most.
FIRST_BUSY, LONGEST_BUSY = 0.1, 1.0
#: How often the watch looks, in seconds, while claimed jobs wait for their start, and for how long after a claim.
TICK, ALERT = 0.002, 0.010
#: Trouble of the worker's own is told in the status until there was none for so many seconds.
TROUBLE_PASSES = 10.0
#: What takes longer, in seconds, is worth a thread of its own.
SHORT = 0.0002
#: After such a job, for so many claims all threads are woken at once.
LONG_FOR = 8
#: Of a queue with a rate limit so many short jobs are claimed together, and one that is not short by itself: what has
#: no thread to start it within the guard of its grant would have to be handed back (G7).
AT_ONCE, AT_ONCE_SHORT = 5, 0.001


class _Seat:
    """Where a thread sleeps. `to_watch`: it was called to keep watch, and not to take what is there."""

    __slots__ = ("lock", "to_watch")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.to_watch = False


class _Request:
    """What one exchange says. Made again as it is, under the same number, when no reply came."""

    __slots__ = ("number", "settlements", "wanted")

    def __init__(self, settlements: list[Settlement], wanted: int) -> None:
        self.number = 0
        self.settlements = settlements
        self.wanted = wanted


class Pool:
    """What the threads share: jobs claimed and not begun, settlements not yet sent, and who leads.

    With `alone`, jobs that must run alone are claimed until one of them ends badly, and then the pool closes by itself.
    A test may `run` something else than `execute`.
    """

    def __init__(
        self,
        queue: Queue,
        broker: Broker,
        worker_id: UUID,
        *,
        alone: bool = False,
        run: Callable[[ClaimedJob], Settlement | None] | None = None,
    ) -> None:
        self.announcer = Announcer(queue)
        self._queue = queue
        self._broker = broker
        self._worker_id = worker_id
        self._alone = alone
        self._run = run or self._execute
        # popped and filled without the lock; neither is ever replaced by another
        self._ready: deque[ClaimedJob] = deque()
        self._done: deque[Settlement | None] = deque()
        # all that follows changes under the lock; it is never held while anything is waited for
        self._lock = threading.Lock()
        self._sleepers: list[_Seat] = []
        self._watch: _Seat | None = None
        self._alarm = 0.0  # when the watch looks next
        self._leading = False
        self._requests: deque[_Request] = deque()  # said in vain: to be said again before anything else
        self._busy: list[Settlement] = []  # whose jobs somebody else had locked
        self._number = 0
        self._threads = 0
        self._running = 0  # claimed, and not known to have ended
        self._unsettled = 0  # ended, and not settled
        self._closing = False
        self._hinted = False  # the broker sends word of new jobs
        self._hint_at = 0.0
        self._look_at = 0.0
        self._claimed_at = 0.0
        self._worked_at = 0.0
        self._busy_at = 0.0
        self._busy_times = 0
        self._retry_at = 0.0
        self._failures = 0
        self._broken_since = 0.0
        self._troubles = 0
        self._claim_at = 0.0  # not before, because of the worker's own trouble
        self._trouble = self._trouble_told = ""
        self._trouble_at = 0.0
        self._long = LONG_FOR
        self._short = False  # the jobs of a limited queue, of late
        self._claimed = self._drained = 0  # jobs in all
        # as the watch saw it last: jobs taken from `_ready`; how many had been drained, if one waited for that; when
        self._begun, self._drained_seen, self._ticked_at = 0, -1, 0.0

    @property
    def held(self) -> int:
        """How many jobs this process holds: claimed and not settled."""
        return self._running + self._unsettled

    def idle_for(self, seconds: float) -> bool:
        """Whether nothing was claimed or settled for so long."""
        return not self.held and clock.monotonic() - self._worked_at >= seconds

    def close(self) -> None:
        """Claim nothing more; the threads leave when what runs is finished and settled."""
        with self._lock:
            self._closing = True
            self._hand_back_ready()
            seats = self._all_seats()
        _rouse(seats)

    def hear(self, hint: bool | None) -> None:
        """There may be something to claim (True), or not (False); None: from now on no hint will come."""
        seats: list[_Seat] = []
        with self._lock:
            changed = self._hinted != (hint is not None)
            self._hinted = hint is not None
            if hint:
                self._hint_at = clock.monotonic()
            if hint or changed:
                self._look_at = 0.0
                if not self._leading:
                    seats = self._call_watch()
        _rouse(seats)

    def work(self) -> None:
        """The life of one thread; returns when the pool is closed and this thread has nothing left to settle."""
        seat, ready, done = _Seat(), self._ready, self._done
        with self._lock:
            self._threads += 1
        try:
            while True:
                try:
                    job = ready.popleft()
                except IndexError:
                    if not self._find_work(seat):
                        return
                else:
                    done.append(self._run_guarded(job))
        finally:
            with self._lock:
                self._threads -= 1

    def _execute(self, job: ClaimedJob) -> Settlement | None:
        return call(execute, job, self._queue, self._worker_id, self.announcer.put)

    def _run_guarded(self, job: ClaimedJob) -> Settlement | None:
        try:
            return self._run(job)
        except BaseException as error:
            # `execute` answers with an outcome whatever the task does; this is the engine's own mistake
            logger.exception("engine_error id=%s queue=%s", job.id, job.queue)
            self._complain(error)
            reason = reasons.ENGINE_ERROR % {"error": type(error).__name__}
            # without its grant: it may have started
            return Settlement(replace(job, grant=None), HandedBack(reason, delay=5.0))

    def _find_work(self, seat: _Seat) -> bool:
        """Lead, watch or sleep until a job is ready; False: there will be none."""
        watched = False
        while True:
            if not self._ready:
                self.announcer.tell()
            request: _Request | None = None
            seats: list[_Seat] = []
            leads = finds = leaves = False
            wait = -1.0
            with self._lock:
                now = clock.monotonic()
                stuck = not watched or self._is_stuck(now)
                if self._ready and stuck:
                    finds = True
                    seats = self._share_out(now) if watched else self._keep_watch()
                elif not self._ready and self._may_lead(now, stuck):
                    leads, self._leading = True, True
                    request = self._next_request(now)
                elif not self._ready and self._is_over:
                    leaves, seats = True, self._all_seats()
                else:
                    wait = self._sit_down(seat, now)
            _rouse(seats)
            if finds or leaves:
                return finds
            if leads:
                watched = False
                _rouse(self._lead(request))
            else:
                watched = self._sleep(seat, wait)

    # Leading

    def _may_lead(self, now: float, stuck: bool) -> bool:
        if self._leading or now < self._retry_at:
            return False
        if self._requests or (self._done and stuck) or (self._busy and now >= self._busy_at):
            return True
        return now >= self._look_at and self._wants > 0

    @property
    def _wants(self) -> int:
        """For how many more jobs there is room; what has ended has made room, settled or not."""
        return 0 if self._closing else self._threads - self._running

    @property
    def _is_over(self) -> bool:
        return self._closing and not (self._leading or self._requests or self._done or self._busy)

    def _next_request(self, now: float) -> _Request | None:
        """What to say to the broker; None: nothing."""
        settlements = self._drain()
        if self._busy and now >= self._busy_at:
            settlements += self._busy
            self._busy = []
        if self._requests:
            # the same again, and what has ended since comes after it
            if settlements:
                self._requests.append(_Request(settlements, 0))
            return self._requests[0]
        if self._alone and any(isinstance(settlement.outcome, (Failed, Retried)) for settlement in settlements):
            self._closing = True  # who knows what it left behind in this process
        if settlements:
            self._learn(settlements, now)
            if self._long and 2 * sum(_seconds(settlement) < SHORT for settlement in settlements) > len(settlements):
                self._long = 0
        wanted = self._wants
        if self._queue.policy.rate_limit is not None:
            wanted = min(wanted, AT_ONCE if self._short else 1)
        if self._troubles:
            wanted = min(wanted, 1) if now >= self._claim_at else 0
        if not settlements and wanted <= 0:
            return None
        self._requests.append(_Request(settlements, wanted))
        return self._requests[0]

    def _drain(self) -> list[Settlement]:
        ended: list[Settlement] = []
        while self._done:
            settlement = self._done.popleft()
            self._running -= 1
            self._drained += 1
            if settlement is not None:  # None: an atomic task has settled by itself
                ended.append(settlement)
        self._unsettled += len(ended)
        return ended

    def _lead(self, request: _Request | None) -> list[_Seat]:
        """Make one exchange; returns who is to be called."""
        began = clock.monotonic()
        answer: Exchange | None = None
        error: BaseException | None = None
        try:
            if request is not None:
                answer = self._exchange(request)
        except BaseException as raised:  # whatever it is, somebody must be able to lead again
            error = raised
        with self._lock:
            self._leading = False
            now = clock.monotonic()
            if request is None:
                self._look_at = max(self._look_at, now + SHORTEST_WAIT, self._claim_at)
            elif answer is not None:
                self._requests.popleft()
                self._take(answer, request, began, now)
            first = error is not None and self._note_failure(now)
            seats = self._pass_on(now)
        if error is not None and first:
            self._complain(error)
        self._tell_trouble(now)
        return seats

    def _exchange(self, request: _Request) -> Exchange | None:
        """Speak to the broker; None: it could not write these settlements together, they will be said one by one."""
        if not request.number:
            self._number += 1
            request.number = self._number
        policy, settlements = self._queue.policy, request.settlements
        try:
            return self._broker.exchange(
                self._worker_id, policy, settlements, request.wanted, number=request.number, alone=self._alone
            )
        except BrokerAway:
            raise
        except Exception as error:
            with self._lock:
                self._requests.popleft()
                if not settlements or (len(settlements) == 1 and _is_not_stored(settlements[0])):
                    # nothing more can be done about it than to try again later
                    self._requests.extendleft([_Request(settlements, 0)] if settlements else [])
                    raise
                if len(settlements) == 1:
                    settlements = [_not_stored(settlements[0], error)]
                self._requests.extendleft(_Request([settlement], 0) for settlement in reversed(settlements))
            logger.exception("settle_failed queue=%s jobs=%d: one by one now", policy.name, len(settlements))
            return None

    def _take(self, answer: Exchange, request: _Request, began: float, now: float) -> None:
        """Note what an exchange has brought."""
        jobs = answer.jobs
        if self._failures:
            logger.info("broker_answers_again outage=%.1fs", now - self._broken_since)
            self._failures = 0
        self._note_answers(request.settlements, answer.settled, now)
        self._running += len(jobs)
        self._claimed += len(jobs)
        self._ready.extend(jobs)
        if self._closing:
            self._hand_back_ready()
        if jobs:
            self._claimed_at = self._ticked_at = now
            self._begun = self._claimed - len(self._ready)
        if jobs or request.settlements:
            self._worked_at = now
        self._look_at = now
        if len(jobs) < request.wanted and self._hint_at < began:
            longest = QUIET_WAIT if now - self._worked_at > QUIET_AFTER else LONGEST_WAIT
            longest = HINTED_WAIT if self._hinted else longest
            wait = longest if answer.wait is None else min(answer.wait, longest)
            self._look_at = now + max(wait, SHORTEST_WAIT)

    def _note_answers(self, settlements: Sequence[Settlement], answers: Sequence[Settled], now: float) -> None:
        busy = [said for said, settled in zip(settlements, answers, strict=True) if settled.answer is Answer.BUSY]
        for settlement, settled in zip(settlements, answers, strict=True):
            if settled.answer is not Answer.BUSY:
                self._unsettled -= 1
                self.announcer.put(settlement, settled)
        if busy:
            self._busy += busy
            self._busy_at = now + min(FIRST_BUSY * 2**self._busy_times, LONGEST_BUSY)
            self._busy_times = min(self._busy_times + 1, 10)
        elif not self._busy:
            self._busy_times = 0

    def _learn(self, settlements: Sequence[Settlement], now: float) -> None:
        """Whether the jobs of a limited queue are short, and whether this worker can work at all."""
        if self._queue.policy.rate_limit is not None:
            self._short = all(_seconds(settlement) < AT_ONCE_SHORT for settlement in settlements)
        trouble = None
        for settlement in settlements:
            outcome = settlement.outcome
            if isinstance(outcome, HandedBack) and outcome.trouble:
                trouble = outcome
            elif settlement.started_at is not None:
                self._troubles = 0
        if trouble is not None:
            self._troubles += 1
            self._trouble, self._trouble_at = trouble.reason, now
            self._claim_at = now + min(FIRST_BACKOFF * 2 ** min(self._troubles - 1, 10), LONGEST_BACKOFF)
            if self._troubles == 1:
                logger.error("worker_in_trouble queue=%s pid=%d %s", self._queue.name, os.getpid(), trouble.reason)

    def _tell_trouble(self, now: float) -> None:
        """Let the status say what keeps this worker from working, or that nothing does any more."""
        if self._trouble and now > self._trouble_at + TROUBLE_PASSES:
            self._trouble = ""
        if (self._trouble != "") != (self._trouble_told != ""):
            with contextlib.suppress(BrokerAway):  # the next time then
                self._broker.report_trouble(self._worker_id, self._trouble)
                self._trouble_told = self._trouble

    def _note_failure(self, now: float) -> bool:
        """Wait before the next exchange; whether this failure is the first in a row."""
        if not self._failures:
            self._broken_since = now
        self._failures += 1
        self._retry_at = now + min(FIRST_BACKOFF * 2 ** min(self._failures - 1, 10), LONGEST_BACKOFF)
        return self._failures == 1

    def _complain(self, error: BaseException) -> None:
        name = self._queue.name
        logger.error("broker_failed queue=%s pid=%d %s: %s", name, os.getpid(), type(error).__name__, error)
        signals.worker_error.send_robust(sender=self._queue, error=error)

    def _hand_back_ready(self) -> None:
        while self._ready:
            try:
                job = self._ready.popleft()
            except IndexError:  # its thread was faster
                return
            self._done.append(Settlement(job, HandedBack(reasons.WORKER_STOPS)))

    # Waking and watching

    def _pass_on(self, now: float) -> list[_Seat]:
        """Whom the leader wakes when it comes back: for long jobs everybody, else at most the watch."""
        if self._closing:
            return self._all_seats()
        waiting = len(self._ready)
        seats: list[_Seat] = []
        if self._long and waiting > 1:
            self._long -= 1
        if self._long:
            # the leader takes one itself; and somebody may lead at once, where there is something to say
            more = bool(self._done) or (now >= max(self._look_at, self._retry_at) and self._wants > 0)
            seats = self._call_sleepers(max(waiting - 1, 0) + (more and waiting > 0))
        if self._watch is not None and self._next_alarm(now) < self._alarm - TICK:
            seats += self._call_watch()
        return seats

    def _share_out(self, now: float) -> list[_Seat]:
        """The watch has seen that jobs take long: all that waits is begun now, one of it by this thread."""
        self._long = LONG_FOR
        return self._call_sleepers(len(self._ready) - 1) + self._keep_watch()

    def _keep_watch(self) -> list[_Seat]:
        """As this thread goes to work, another one is to keep watch, if there is one."""
        if self._watch is not None or not self._sleepers:
            return []
        seat = self._sleepers.pop()
        seat.to_watch = True
        return [seat]

    def _is_stuck(self, now: float) -> bool:
        """Whether what waits has made no progress worth the name since the watch looked last."""
        begun, drained = self._claimed - len(self._ready), self._drained if self._done else -1
        if self._ready:
            past = now - self._ticked_at
            if past < TICK:
                return False
            stuck = (begun - self._begun) * SHORT < past
        else:
            stuck = bool(self._done) and drained == self._drained_seen
        self._begun, self._drained_seen, self._ticked_at = begun, drained, now
        return stuck

    def _sit_down(self, seat: _Seat, now: float) -> float:
        """Sleep, or watch where nobody does; returns for how many seconds, -1 until called."""
        seat.to_watch = False
        if self._watch is not None:
            self._sleepers.append(seat)
            return -1
        self._watch = seat
        self._alarm = min(max(self._next_alarm(now), now + SHORTEST_WAIT), now + LONGEST_WATCH)
        return self._alarm - now

    def _sleep(self, seat: _Seat, wait: float) -> bool:
        """Whether this thread wakes to watch."""
        if seat.lock.acquire(timeout=wait):
            return seat.to_watch
        with self._lock:
            if self._watch is seat:
                self._watch = None
                return True
        # called in the moment in which the time was over
        seat.lock.acquire()
        return seat.to_watch

    def _next_alarm(self, now: float) -> float:
        """When the watch has to look next."""
        if self._ready or now < self._claimed_at + ALERT:
            due = self._ticked_at + TICK
            return due if due > now else now + TICK
        if self._leading:
            return math.inf
        if self._requests:
            return self._retry_at
        if self._done:
            return max(now + TICK, self._retry_at)
        alarm = self._look_at if self._wants > 0 else math.inf
        if self._busy:
            alarm = min(alarm, self._busy_at)
        return max(alarm, self._retry_at)

    def _call_watch(self) -> list[_Seat]:
        if self._watch is None:
            return []
        seat, self._watch = self._watch, None
        seat.to_watch = True
        return [seat]

    def _call_sleepers(self, number: int) -> list[_Seat]:
        """So many threads that sleep, the watch only where the others do not suffice."""
        seats = [self._sleepers.pop() for _ in range(min(max(number, 0), len(self._sleepers)))]
        if len(seats) < number and self._watch is not None:
            seats.append(self._watch)
            self._watch = None
        for seat in seats:
            seat.to_watch = False
        return seats

    def _all_seats(self) -> list[_Seat]:
        return self._call_sleepers(len(self._sleepers) + 1)


def _rouse(seats: Sequence[_Seat]) -> None:
    for seat in seats:
        seat.lock.release()


def _seconds(settlement: Settlement) -> float:
    if settlement.started_at is None or settlement.ended_at is None:
        return 0.0
    return (settlement.ended_at - settlement.started_at).total_seconds()


def _not_stored(settlement: Settlement, error: Exception) -> Settlement:
    """An outcome that the broker cannot write becomes a dead letter that says so."""
    text = reasons.NOT_STORED % {"error": f"{type(error).__name__}: {ascii(str(error))}"}
    return Settlement(settlement.job, Failed(text), settlement.started_at, settlement.ended_at)


def _is_not_stored(settlement: Settlement) -> bool:
    outcome = settlement.outcome
    return isinstance(outcome, Failed) and outcome.error.startswith(reasons.NOT_STORED.partition("%")[0])
