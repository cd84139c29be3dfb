"""What `enqueue` returns: a job's id and what can be asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connections

from .. import reasons
from ..broker import get_broker
from ..conf import jobs_settings
from ..errors import InvalidOption, JobFailed, Refused, ResultTimeout, UnknownJob
from ..states import State
from . import huey as huey_interface
from .desk import LogLine, Progress
from .reference import HasId, id_of
from .results import decode_result
from .sealing import opened_values

if TYPE_CHECKING:
    from ..history.endings import Ending
    from ..history.why import Why
    from ..models import Job


class JobHandle:
    """One job, also one that is known by its id, or the id's text, alone. Each property reads the job anew.

    `created` is True for a new job, False when another one stands for the call (then `id` is that job's), and None
    while a keyed job waits for its transaction to commit.
    """

    __slots__ = ("created", "id")
    #: A template means the handle, not its result.
    do_not_call_in_templates = True

    def __init__(self, job: HasId | UUID | str, created: bool | None = True) -> None:
        self.id = id_of(job)
        self.created = created

    def __repr__(self) -> str:
        return f"<JobHandle {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def job(self) -> Job:
        """The job's row as it is now; raises `UnknownJob` when retention has removed it.

        `BrokerAway` where only the broker could know it.
        """
        from ..history import live

        row = live.row_of(self.id)
        if row is None:
            raise UnknownJob(f"job {self.id} is not known: it was rolled back, or retention has removed it")
        return row

    @property
    def state(self) -> str:
        """The stored state, one of `jobs.State`."""
        return self.job.state

    @property
    def shown_state(self) -> str:
        """What a person reads for the state now: a `queued` job is *scheduled*, *waiting* or *retrying*."""
        return self.job.shown_state()

    @property
    def args(self) -> list[Any]:
        """The positional arguments, as JSON values; encrypted ones as they were."""
        return list(opened_values(self.job.args))

    @property
    def kwargs(self) -> dict[str, Any]:
        """The named arguments, as JSON values; encrypted ones as they were."""
        return dict(opened_values(self.job.kwargs))

    @property
    def attempt(self) -> int:
        """How many attempts of the present run have ended."""
        return self.job.attempts

    @property
    def error(self) -> str:
        """The last error, or an empty string."""
        return self.job.error

    @property
    def progress(self) -> Progress | None:
        """How far the task last said it is (`current_job().progress`); None if it never said so."""
        from ..history import inside

        return inside.progress_of(self.id)

    def logs(self) -> Sequence[LogLine]:
        """What the task logged (`current_job().log`), of all starts, in order; personal arguments are masked."""
        from ..history import inside

        return inside.logs_of(self.id)[0]

    def why(self) -> Why:
        """Why the job waits, with all that must go before it starts, and when that is expected.

        Of one that has ended, where its time went. Raises `UnknownJob`.
        """
        from ..history.why import why_of

        return why_of(self.job)

    def refresh(self) -> Job:
        """The job's row as it is now."""
        return self.job

    def result(self, timeout: float = 10) -> Any:
        """What the task returned (JSON values); waits up to `timeout` seconds for the job to end.

        However many threads wait, one connection of the process asks for all of them; a database that is away for a
        while only makes it later. Raises `JobFailed` when the job ended without a result, or the
        history had no room for it, `UnknownJob` when it is gone,
        `ResultTimeout` (a TimeoutError) when it has not ended, and `Refused` inside a transaction, where the job cannot
        have started. `InvalidOption` for a time-out that is no number.
        """
        from ..history import endings

        _check_timeout(timeout)
        alone, trouble = _in_open_transaction(), ""
        if alone or timeout <= 0:
            seen: endings.Ending | None = endings.look([self.id])[self.id]
        else:
            seen, trouble = endings.wait_for_end(self.id, timeout)
        return self._outcome(seen, trouble, timeout, alone)

    def get(self, blocking: bool = False, timeout: float = 10) -> Any:
        """Huey's spelling of `result`; without `blocking`, None where the job has not ended."""
        try:
            return self.result(timeout if blocking else 0)
        except ResultTimeout:
            if blocking:
                raise
            return None

    __call__ = get

    async def aresult(self, timeout: float = 10) -> Any:
        """`result` for code that runs on an event loop, which goes on meanwhile; no thread of its own waits.

        Raises what `result` raises.
        """
        from ..history import endings

        _check_timeout(timeout)
        if endings.only_here() or timeout < endings.LONGEST_PAUSE:
            return await sync_to_async(self.result, thread_sensitive=endings.only_here())(timeout)
        seen, trouble = await endings.await_end(self.id, timeout)
        return self._outcome(seen, trouble, timeout, alone=False)

    def _outcome(self, seen: Ending | None, trouble: str, timeout: float, alone: bool) -> Any:
        if seen is None:
            raise ResultTimeout(f"job {self.id}: the job database did not answer within {timeout:g} s ({trouble})")
        if not seen.state:
            raise UnknownJob(f"job {self.id} is not known: it was rolled back, or retention has removed it")
        if seen.state == State.COMPLETED and seen.text != reasons.NOT_KEPT:
            return decode_result(seen.result)
        if seen.final:
            raise JobFailed(self.id, seen.state, seen.text)
        if alone and timeout > 0:
            raise Refused(f"job {self.id} cannot end while this transaction is open; ask for its result after commit")
        since = f" (since then the job database does not answer: {trouble})" if trouble else ""
        raise ResultTimeout(f"job {self.id} is still {seen.state} after {timeout:g} s{since}")

    def release_key(self) -> bool:
        """Let the job's key be free from now on, and a throttle end that began with the job; the job goes on.

        False, and nothing has changed, where another job holds the key, or the job has none. Raises `UnknownJob` when
        the job is not known.
        """
        job = self.job
        return job.key is not None and get_broker().release_key(job.queue, job.key, self.id)

    def cancel(self) -> str:
        """Cancel the job: `cancelled`, `asked` (it runs and may agree) or `ended` (too late).

        Raises `UnknownJob` when the job is not known.
        """
        from ..operate.cancel import cancel_now

        return cancel_now(self.job.queue, self.id, reasons.BY_HANDLE).value

    def promote(self) -> str:
        """Make the job due now: `changed`, `due` (it was already), `active` or `ended`."""
        from ..operate.promote import promote_now

        return promote_now(self.job)

    def reschedule(self, *, delay: float | timedelta | None = None, at: datetime | None = None) -> str:
        """Let a job that waits be due in `delay` (seconds or timedelta, from now) or `at` an aware time.

        Answers `changed`, or, where nothing was, `active` (it runs) or `ended` (too late); inside a transaction, of a
        broker that hears of it after the commit, `asked`. Raises `UnknownJob`, and `InvalidOption` for a wrong value.
        """
        from ..operate.change import reschedule_now

        return reschedule_now(self.job, delay=delay, at=at).value

    def set_priority(self, priority: int) -> str:
        """Give a job that waits another priority, 1 (highest) to 10; answers and raises like `reschedule`."""
        from ..operate.change import set_priority_now

        return set_priority_now(self.job, priority).value

    def edit(self, **changed: Any) -> str:
        """Give a job that waits, or a dead letter, other values of these arguments; the others stay.

        Answers like `reschedule`. Raises `InvalidArguments` for what the task does not take, `UnknownJob`, and
        `Refused` where no code here can read the job.
        """
        from ..operate.edit import edit_now

        return edit_now(self.job, changed).value

    def retry(self) -> None:
        """Let a dead letter begin its next run; raises `Refused` for another job, or while its key is held."""
        from ..operate.retry import retry

        retry(self.id)

    def discard(self) -> str:
        """Take away a dead letter (`discarded`) or what has ended (`removed`); `live`: it waits or runs, and stays."""
        from ..operate.discard import discard_now

        return discard_now(self.job).value


huey_interface.refuse(JobHandle, huey_interface.RESULT_REFUSED)


def _in_open_transaction() -> bool:
    connection = connections[jobs_settings().database]
    # with autocommit off, the first statement has opened one
    return connection.in_atomic_block or (connection.connection is not None and not connection.autocommit)


def _check_timeout(timeout: object) -> None:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout != timeout:
        raise InvalidOption(f"result(timeout={timeout!r}): expected seconds")
