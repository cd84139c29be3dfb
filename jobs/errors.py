"""Everything that Esteira raises on purpose.

Errors of the caller stand under `JobsError`; what a task raises to steer its own job stands under `TaskSignal`.
"""

from __future__ import annotations

from uuid import UUID


class JobsError(Exception):
    """The root of everything that the engine raises."""


class InvalidPolicy(JobsError, ValueError):
    """A queue's policy holds a value that cannot work."""


class InvalidTask(JobsError, TypeError):
    """A function cannot be registered as a task."""


class InvalidArguments(JobsError, TypeError):
    """Arguments do not fit the task's signature, or cannot be written as JSON."""


class CannotDecrypt(JobsError):
    """An encrypted argument or result was written with a key that this process has not."""


class InvalidOption(JobsError, ValueError):
    """An option holds a wrong value, or a call got something that is no job, queue or object."""


class InvalidEvent(JobsError, TypeError):
    """An event, or the way it was announced, is wrong."""


class UndeclaredStart(JobsError):
    """A receiver enqueued a task that its `starts=[...]` does not name."""


class NotSupported(JobsError):
    """A part of Huey's interface that Esteira does another way; the message says which."""


class UnknownQueue(JobsError, LookupError):
    """No queue of this name is defined."""


class UnknownBatch(JobsError, LookupError):
    """No batch of this id is known; it goes some days after its end."""


class UnknownSchedule(JobsError, LookupError):
    """No schedule of this name is known."""


class UnknownTask(JobsError, LookupError):
    """No task of this name is registered."""


class UnknownJob(JobsError, LookupError):
    """No job of this id is known; retention may have removed it."""


class UnknownBreaker(JobsError, LookupError):
    """No task names a breaker of this name."""


class UnknownCause(JobsError, LookupError):
    """No dead letter of this cause is known."""


class UnknownProcess(JobsError, LookupError):
    """No living worker process is called so."""


class GroupFull(JobsError):
    """As many jobs of the group wait already as `Queue(group_max=)` allows; nothing of the call was enqueued."""

    def __init__(self, queue: str, group: str, most: int) -> None:
        self.queue = queue
        self.group = group
        self.most = most
        super().__init__(
            f"group {group!r} of queue {queue!r} may have {most:,} jobs that wait (group_max), and would have more: "
            "nothing was enqueued; enqueue again when some of them have started"
        )


class UnknownObject(JobsError, LookupError):
    """No object of this model and id is there, and no job is about one."""


class NotInTask(JobsError, LookupError):
    """`current_job()` was called outside a task."""


class WrongDatabase(JobsError):
    """`enqueue` was called in a transaction on a database that does not hold the jobs."""


class NotInTransaction(JobsError):
    """An event was announced outside `transaction.atomic()`."""


class BrokerAway(JobsError):
    """The broker's store cannot be reached; what was asked of it may be asked again.

    `undone` tells that it surely did not happen; else nobody knows, as after a reply that was lost.
    """

    def __init__(self, text: str, *, undone: bool = False) -> None:
        self.undone = undone
        super().__init__(text)


class QueueBroken(BrokerAway):
    """What the broker's store holds of one queue cannot be used; its other queues are well."""

    def __init__(self, queue: str, text: str) -> None:
        self.queue = queue
        super().__init__(text)


class PushedTooLate(BrokerAway):
    """Jobs were read from the outbox so long ago that the broker may have forgotten their end: read them again."""


class BrokerUnavailable(JobsError):
    """Neither the broker nor the outbox could take the job."""


class IllegalMove(JobsError):
    """A state change that `jobs.states` does not allow."""


class Refused(JobsError):
    """An operation that the job's present state, or another job's key, does not allow."""


class ResultTimeout(JobsError, TimeoutError):
    """The job did not end within the time given to `result`."""


class JobFailed(JobsError):
    """The job whose result was asked for ended without one."""

    def __init__(self, job_id: UUID, state: str, error: str) -> None:
        self.job_id = job_id
        self.state = state
        self.error = error
        super().__init__(f"job {job_id} is {state}: {error}" if error else f"job {job_id} is {state}")


class OutOfTime(JobsError, TimeoutError):
    """The process of an isolated job was killed at its timeout."""


class OutOfMemory(JobsError, MemoryError):
    """The process of an isolated job was killed because it used more memory than its task allows."""


class ProcessDied(JobsError):
    """The process of an isolated job ended before the job did: by a signal, or with an exit code."""


class LeaseLost(JobsError):
    """The job is no longer this worker's: its lease ended and others may have it."""


class TaskSignal(JobsError):
    """The root of what a task raises to steer its own job."""


class PermanentError(TaskSignal):
    """Trying again cannot help: the job becomes a dead letter at once."""


class RetryLater(TaskSignal):
    """Start the job again in `seconds`; burns no attempt.

    With `whole_queue=True` the whole queue starts nothing until then (a provider's "slow down"), and with
    `whole_group=True` the job's group; a job without a group then waits alone. Raises `InvalidOption`.
    """

    def __init__(
        self, seconds: float, *, whole_queue: bool = False, whole_group: bool = False, reason: str = ""
    ) -> None:
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 <= seconds <= 31_536_000:
            raise InvalidOption(f"RetryLater({seconds!r}): expected seconds between 0 and one year (31,536,000)")
        if whole_queue and whole_group:
            raise InvalidOption(
                "RetryLater(whole_queue=True, whole_group=True): the queue waits, or the group; give one"
            )
        self.seconds = float(seconds)
        self.whole_queue = whole_queue
        self.whole_group = whole_group
        self.reason = reason
        super().__init__(reason or f"asked to be started again in {seconds:g} s")


class Stopped(BaseException):
    """An iteration stops between two items and the job goes back: the engine's own, which no task means to catch.

    Due again in `delay` seconds behind the others; None: at its old place.
    """

    def __init__(self, reason: str, delay: float | None = None) -> None:
        self.reason = reason
        self.delay = delay
        super().__init__(reason)


class Cancelled(TaskSignal):
    """The task agrees to a cancellation (see `current_job().cancel_requested`): no retry follows."""
