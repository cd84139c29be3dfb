"""What `enqueue` returns: a job's id and what can be asked of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections

from .. import reasons
from ..broker import get_broker
from ..conf import jobs_settings
from ..errors import JobFailed, Refused, ResultTimeout, UnknownJob
from ..states import ENDED, State
from . import message

if TYPE_CHECKING:
    from ..models import Job


class JobHandle:
    """One job. Each property reads the job anew.

    `created` is True for a new job, False when `key=` found a live one (then `id` is that job's), and None while a
    keyed job waits for its transaction to commit.
    """

    __slots__ = ("created", "id")

    def __init__(self, job_id: UUID, created: bool | None = True) -> None:
        self.id = job_id
        self.created = created

    def __repr__(self) -> str:
        return f"<JobHandle {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def job(self) -> Job:
        """The job's row; raises `UnknownJob` when retention has removed it."""
        from ..models import Job

        row = Job.objects.using(jobs_settings().database).filter(pk=self.id).first()
        if row is None:
            raise UnknownJob(f"job {self.id} is not known: it was rolled back, or retention has removed it")
        return row

    @property
    def state(self) -> str:
        """The stored state, one of `jobs.states.State`."""
        return self.job.state

    @property
    def shown_state(self) -> str:
        """What a person reads for the state now: a `queued` job is *scheduled*, *waiting* or *retrying*."""
        return self.job.shown_state()

    @property
    def args(self) -> list[Any]:
        """The positional arguments, as JSON values."""
        return self.job.args

    @property
    def kwargs(self) -> dict[str, Any]:
        """The named arguments, as JSON values."""
        return self.job.kwargs

    @property
    def attempt(self) -> int:
        """How many attempts of the present run have ended."""
        return self.job.attempts

    @property
    def error(self) -> str:
        """The last error, or an empty string."""
        return self.job.error

    def refresh(self) -> Job:
        """The job's row as it is now."""
        return self.job

    def result(self, timeout: float = 10) -> Any:
        """What the task returned (JSON values); waits up to `timeout` seconds for the job to end.

        Raises `JobFailed` when it ended without a result, `ResultTimeout` (a TimeoutError) when it has not ended, and
        `Refused` inside a transaction, where the job cannot have started.
        """
        deadline = time.monotonic() + timeout
        pause = 0.005
        while True:
            row = self.job
            if row.state == State.COMPLETED:
                return message.decode_result(row.result)
            if row.state in ENDED:
                raise JobFailed(self.id, row.state, row.error or row.reason)
            if timeout > 0 and _in_open_transaction():
                raise Refused(
                    f"job {self.id} cannot end while this transaction is open; ask for its result after commit"
                )
            left = deadline - time.monotonic()
            if left <= 0:
                raise ResultTimeout(f"job {self.id} is still {row.state} after {timeout:g} s")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.1)

    def cancel(self) -> str:
        """Cancel the job: `cancelled`, `asked` (it runs and may agree) or `ended` (too late).

        Raises `UnknownJob` when the job is not known.
        """
        answer = get_broker().cancel(self.job.queue, self.id, reasons.BY_HANDLE)
        if answer is None:
            raise UnknownJob(f"job {self.id} is not known: it was rolled back, or retention has removed it")
        return answer.value


def _in_open_transaction() -> bool:
    connection = connections[jobs_settings().database]
    return connection.in_atomic_block
