"""The threads of a worker process, of which one at a time speaks to the broker.

Leader and followers: a thread that has nothing to do, and sees nobody under way to the broker, makes the trip: it
settles everything that is finished and claims a job for each thread that is free. No thread only carries.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from .. import clock, reasons
from ..broker.records import Answer, ClaimedJob, Exchange, HandedBack, Settled, Settlement
from ..errors import BrokerAway

logger = logging.getLogger("jobs.worker")

#: The longest time, in seconds, that a free thread does not look for new jobs (G6); and the same for a pool that has
#: had none for QUIET_AFTER seconds, since looking is what an idle worker costs.
LONGEST_WAIT, QUIET_WAIT, QUIET_AFTER = 0.050, 0.075, 5.0
#: The same while the broker sends word of new jobs, which may get lost.
HINTED_WAIT = 1.0
SHORTEST_WAIT = 0.001
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0
#: Seconds until a settlement is said again whose job somebody holds locked.
BUSY_PAUSE = 0.1

Trip = Callable[[Sequence[Settlement], int], Exchange]


class Pool:
    """What the threads share: jobs claimed and not begun, settlements not yet sent, and who is under way.

    `trip` settles and claims, and is made again with the same settlements and wish when it raised `BrokerAway`; `run`
    runs one job; `settled` hears of each settlement what the broker answered, unless it is to be said again; `broken`
    hears of the error when a trip fails for the first time in a row. With `budget`, at most so many jobs are claimed in
    all, and then the pool closes by itself.
    """

    def __init__(
        self,
        trip: Trip,
        run: Callable[[ClaimedJob], Settlement | None],
        *,
        settled: Callable[[Settlement, Settled], None],
        broken: Callable[[Exception], None],
        budget: int | None = None,
    ) -> None:
        self._trip = trip
        self._run = run
        self._settled = settled
        self._broken = broken
        self._budget = budget
        self._changed = threading.Condition(threading.Lock())
        self._ready: deque[ClaimedJob] = deque()
        self._finished: list[Settlement] = []
        self._unanswered: tuple[list[Settlement], int] | None = None  # a trip whose answer never came
        self._busy: list[Settlement] = []  # to be said again, from `_busy_until` on
        self._busy_until = 0.0
        self._free = 0  # threads that could begin a job now
        self._held = 0  # jobs claimed and not settled yet
        self._under_way = False  # a thread is on its way to the broker
        self._watching = False  # a thread sleeps until the next look, as it was known then
        self._watch_until = 0.0
        self._closing = False
        self._hinted = False  # the broker sends word of new jobs
        self._hint_at = 0.0
        self._look_at = 0.0
        self._worked_at = 0.0
        self._retry_at = 0.0
        self._failures = 0
        self._broken_since = 0.0

    @property
    def held(self) -> int:
        """How many jobs this process holds: claimed and not settled."""
        return self._held

    @property
    def claimed_all(self) -> bool:
        """Whether the budget is used up."""
        return self._budget == 0

    def close(self) -> None:
        """Claim nothing more; the threads leave when what runs is finished and settled."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def hear(self, hint: bool | None) -> None:
        """There may be something to claim (True), or not (False); None: from now on no hint will come."""
        with self._changed:
            if self._hinted != (hint is not None):
                self._hinted = hint is not None
                self._look_at = 0.0
                self._changed.notify_all()
            if hint:
                self._hint_at = clock.monotonic()
                self._look_at = 0.0
                if not self._under_way:
                    self._changed.notify_all()

    def work(self) -> None:
        """The life of one thread; returns when the pool is closed and this thread has nothing left to settle."""
        while (job := self._next_job()) is not None:
            settlement = self._run_guarded(job)
            with self._changed:
                if settlement is None:
                    self._held -= 1
                    self._look_at = 0.0  # it was settled elsewhere, and may have made room for another
                else:
                    self._finished.append(settlement)

    def _next_job(self) -> ClaimedJob | None:
        changed = self._changed
        with changed:
            self._free += 1
            try:
                while True:
                    if self._closing and self._ready:
                        self._hand_back()
                    if self._ready:
                        job = self._ready.popleft()
                        self._pass_on()
                        return job
                    now = clock.monotonic()
                    if self._busy and now >= self._busy_until:
                        self._finished, self._busy = self._finished + self._busy, []
                    if self._under_way:
                        changed.wait()
                    elif now >= self._retry_at and (
                        self._finished or self._unanswered or (now >= self._look_at and not self._done)
                    ):
                        self._lead()
                    elif self._done and not self._finished and not self._unanswered and not self._busy:
                        changed.notify_all()
                        return None
                    elif self._is_watched:
                        changed.wait()
                    else:
                        self._watching, self._watch_until = True, self._wake_at
                        try:
                            changed.wait(max(self._watch_until - now, SHORTEST_WAIT))
                        finally:
                            self._watching = False
            finally:
                self._free -= 1

    @property
    def _done(self) -> bool:
        return self._closing or self._budget == 0

    @property
    def _wake_at(self) -> float:
        if self._finished or self._unanswered:
            return self._retry_at
        wake_at = max(self._look_at, self._retry_at)
        if self._done:
            return self._busy_until
        return min(wake_at, self._busy_until) if self._busy else wake_at

    @property
    def _is_watched(self) -> bool:
        """Whether a thread sleeps that will wake in time: a settlement may have made the next look a nearer one."""
        return self._watching and self._watch_until <= self._wake_at

    def _pass_on(self) -> None:
        """Wake one more thread if something is left for it: a job, a settlement, or the watch."""
        if self._ready or self._finished or not self._is_watched:
            self._changed.notify()

    def _hand_back(self) -> None:
        self._finished.extend(Settlement(job, HandedBack(reasons.WORKER_STOPS)) for job in self._ready)
        self._ready.clear()

    def _lead(self) -> None:
        """Make one trip. Called, and returns, with the lock held; the lock is free during the trip."""
        if self._unanswered is not None:
            batch, wanted = self._unanswered
        else:
            batch, self._finished = self._finished, []
            wanted = 0 if self._done else self._free
            if self._budget is not None:
                wanted = min(wanted, self._budget)
        self._unanswered = batch, wanted
        self._under_way = True
        began = clock.monotonic()
        answer: Exchange | None = None
        self._changed.release()
        try:
            answer = self._trip(batch, wanted)
        except Exception as error:
            self._note_failure(error)
            if not isinstance(error, BrokerAway):
                self._unanswered = None
        finally:
            self._changed.acquire()
            self._under_way = False
            if answer is None and self._unanswered is None:
                self._finished[:0] = batch
        if answer is not None:
            self._unanswered = None
            self._take(answer, batch, wanted, began)

    def _take(self, answer: Exchange, batch: list[Settlement], wanted: int, began: float) -> None:
        now = clock.monotonic()
        if self._failures:
            logger.info("broker_answers_again outage=%.1fs", now - self._broken_since)
            self._failures = 0
        answers = list(zip(batch, answer.settled, strict=True))
        said = [(settlement, settled) for settlement, settled in answers if settled.answer is not Answer.BUSY]
        if len(said) < len(batch):
            self._busy += [settlement for settlement, settled in answers if settled.answer is Answer.BUSY]
            self._busy_until = now + BUSY_PAUSE
        self._held += len(answer.jobs) - len(said)
        self._ready.extend(answer.jobs)
        if answer.jobs or batch:
            self._worked_at = now
        if self._budget is not None:
            self._budget -= len(answer.jobs)
        if len(answer.jobs) < wanted and self._hint_at < began:
            longest = QUIET_WAIT if now - self._worked_at > QUIET_AFTER else LONGEST_WAIT
            longest = HINTED_WAIT if self._hinted else longest
            wait = longest if answer.wait is None else min(answer.wait, longest)
            self._look_at = now + max(wait, SHORTEST_WAIT)
        else:
            self._look_at = now
        if said:
            # Receivers may be slow: this thread counts as busy, and another one may lead meanwhile.
            self._pass_on()
            self._free -= 1
            self._changed.release()
            try:
                for settlement, settled in said:
                    self._settled(settlement, settled)
            except Exception:
                logger.exception("after_settle_failed")
            finally:
                self._changed.acquire()
                self._free += 1

    def _note_failure(self, error: Exception) -> None:
        now = clock.monotonic()
        if not self._failures:
            self._broken_since = now
        self._failures += 1
        self._retry_at = now + min(FIRST_BACKOFF * 2 ** min(self._failures - 1, 10), LONGEST_BACKOFF)
        if self._failures == 1:
            self._broken(error)

    def _run_guarded(self, job: ClaimedJob) -> Settlement | None:
        try:
            return self._run(job)
        except BaseException as error:
            # `run` answers with an outcome whatever the task does; this is the engine's own mistake.
            logger.exception("engine_error id=%s queue=%s", job.id, job.queue)
            if isinstance(error, Exception):
                self._broken(error)
            reason = reasons.ENGINE_ERROR % {"error": type(error).__name__}
            # without its grant: it may have started
            return Settlement(replace(job, grant=None), HandedBack(reason, delay=5.0))
