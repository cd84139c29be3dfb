"""What a worker says to the broker: numbered, said again where no answer came or a row was locked, and never twice.

All of it happens under the pool's lock, but for `make`, of which there is one at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from uuid import UUID

from .. import reasons
from ..broker.contract import Broker
from ..broker.records import Answer, Exchange, Failed, Settled, Settlement
from ..conf import jobs_settings
from ..errors import BrokerAway
from ..policy import QueuePolicy
from .breakers import Breakers

#: Seconds until the broker is asked again that did not answer: at first, and at most.
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0
#: Seconds until a settlement is said again whose job somebody else had locked: at first, and at most.
FIRST_BUSY, LONGEST_BUSY = 0.1, 1.0


class Request:
    """What one exchange says. Made again as it is, under the same number, when no answer came."""

    __slots__ = ("number", "repeated", "settlements", "wanted")

    def __init__(self, settlements: Sequence[Settlement], wanted: int) -> None:
        self.number = 0
        self.repeated = False  # it is made again, after an error that was not the broker's being away
        self.settlements = settlements
        self.wanted = wanted


class Exchanges:
    """The exchanges of one worker. `retry_at`: not before that, by `clock.monotonic()`, since the broker was away."""

    def __init__(
        self, policy: QueuePolicy, broker: Broker, worker_id: UUID, alone: bool, breakers: Breakers | None = None
    ) -> None:
        self.retry_at = 0.0
        self._breakers = breakers
        self._policy = policy
        self._broker = broker
        self._worker_id = worker_id
        self._alone = alone
        self._number = 0
        self._requests: deque[Request] = deque()  # to be made before anything else is said
        self._busy: list[Settlement] = []  # whose jobs somebody else had locked, or cannot be written at all
        self._busy_at = 0.0
        self._busy_times = 0
        self._failures = 0
        self._broken_since = 0.0
        self._reason = ""

    @property
    def has_more(self) -> bool:
        """Whether something is still to be said again."""
        return bool(self._requests or self._busy)

    def is_due(self, now: float) -> bool:
        """Whether something is to be said again now."""
        return bool(self._requests) or (bool(self._busy) and now >= self._busy_at)

    def due_at(self, otherwise: float) -> float:
        """When the next exchange is to be made, if nothing else happens and for the rest there is time until then."""
        if self._requests:
            return self.retry_at
        at = min(otherwise, self._busy_at) if self._busy else otherwise
        return max(at, self.retry_at)

    def next(self, settlements: list[Settlement], wanted: int, now: float) -> Request | None:
        """The request to be made now, with these settlements in it or behind it; None: there is nothing to say."""
        if self._busy and now >= self._busy_at:
            settlements = settlements + self._busy
            self._busy = []
        if self._requests:
            wanted = 0
        if settlements or (wanted > 0 and not self._requests):
            self._requests.append(Request(settlements, wanted))
        return self._requests[0] if self._requests else None

    def make(self, request: Request) -> Exchange:
        """Speak to the broker; raises what it raises, and RuntimeError where it does not answer to everything."""
        if not request.number:
            self._number += 1
            request.number = self._number
        policy = self._policy if self._breakers is None else self._breakers.over(self._policy)
        answer = self._broker.exchange(
            self._worker_id,
            policy,
            request.settlements,
            request.wanted,
            number=request.number,
            alone=self._alone,
        )
        if len(answer.settled) != len(request.settlements):
            raise RuntimeError(f"{len(answer.settled)} answers to {len(request.settlements)} settlements")
        if self._breakers is not None:
            self._breakers.claimed(answer.jobs, request.wanted)
        return answer

    def answered(self, answers: Sequence[Settled], now: float) -> list[tuple[Settlement, Settled]]:
        """Note the answers to the request that was made; returns them without those that were busy."""
        answered = list(zip(self._requests.popleft().settlements, answers, strict=True))
        busy = [settlement for settlement, settled in answered if settled.answer is Answer.BUSY]
        if busy:
            self._put_off(busy, now)
        elif not self._busy:
            self._busy_times = 0
        return [pair for pair in answered if pair[1].answer is not Answer.BUSY] if busy else answered

    def outage(self, now: float) -> float | None:
        """For how many seconds the broker did not answer, now that it does again; None: it always has."""
        if not self._failures:
            return None
        self._failures = 0
        return now - self._broken_since

    def failed(self, error: BaseException, now: float) -> bool:
        """Note that no answer came, or none that can be used; whether that is the first time in a row for this reason.

        Whatever the error, the broker may have done it all: everything is said again as it was, once at least. What it
        then cannot write together is said one by one, without a claim, and an outcome that it cannot write by itself
        becomes a dead letter that says so.
        """
        if not isinstance(error, BrokerAway):
            request = self._requests[0]
            if not request.repeated:
                request.repeated = True
                return False
            self._requests.popleft()
            if request.settlements:
                return self._take_apart(request, error, now)
        elif self._requests:
            self._requests[0].repeated = False
        if not self._failures:
            self._broken_since = now
        self._failures += 1
        self.retry_at = now + backoff(self._failures)
        # a server that was away and loads its data now is told of twice; what follows the colon differs each time
        reason, self._reason = self._reason, str(error).partition(":")[0]
        return self._failures == 1 or reason != self._reason

    def _take_apart(self, request: Request, error: BaseException, now: float) -> bool:
        settlements = list(request.settlements)
        if len(settlements) == 1 and not request.wanted:
            if _is_not_stored(settlements[0]):  # nothing more can be done about it, and the others must not suffer
                self._put_off(settlements, now)
                return self._busy_times == 1
            settlements = [_not_stored(settlements[0], error)]
        self._requests.extendleft(Request([settlement], 0) for settlement in reversed(settlements))
        return False

    def _put_off(self, settlements: list[Settlement], now: float) -> None:
        self._busy += settlements
        self._busy_at = now + min(FIRST_BUSY * 2**self._busy_times, LONGEST_BUSY)
        self._busy_times = min(self._busy_times + 1, 10)


def backoff(failures: int) -> float:
    """How many seconds to wait after so many failures in a row."""
    return min(FIRST_BACKOFF * 2.0 ** min(failures - 1, 10), LONGEST_BACKOFF)


def _not_stored(settlement: Settlement, error: BaseException) -> Settlement:
    text = reasons.NOT_STORED % {"error": f"{type(error).__name__}: {ascii(str(error))}"}
    return Settlement(
        settlement.job, Failed(text, release=jobs_settings().release), settlement.started_at, settlement.ended_at
    )


def _is_not_stored(settlement: Settlement) -> bool:
    outcome = settlement.outcome
    return isinstance(outcome, Failed) and outcome.error.startswith(reasons.NOT_STORED.partition("%")[0])
