"""Where a running job is, on request: the worker that runs it looks at its thread, task or process, and answers.

By way of the project's database, whichever broker keeps the jobs: a row a question. A worker that holds jobs looks for
questions once a second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from .. import clock
from ..conf import jobs_settings
from ..define.reference import HasId, id_of
from ..errors import Refused
from ..history import lookup
from ..models import Job, StackRequest
from ..states import State
from .audit import note

#: Seconds in which a worker answers unless something keeps it from that; and for which an answer is kept and shown.
PATIENCE, KEPT = 5.0, timedelta(hours=1)
#: What it takes to ask.
VIEW_STACK = "jobs.view_stack"
#: Seconds between two looks whether the answer has come.
LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class SeenStack:
    """The last question about a job. `text`: its frames; empty where `is_open`, or where the job did not run any more.

    `late`: the worker has not answered for longer than it should need.
    """

    asked_at: datetime
    answered_at: datetime | None
    text: str
    late: bool

    @property
    def is_open(self) -> bool:
        """Whether there is no answer yet."""
        return self.answered_at is None

    @property
    def sentence(self) -> str:
        """What to say of it where there are no frames; empty where there are."""
        if self.text:
            return ""
        if not self.is_open:
            return _("The job did not run any more when its worker looked.")
        if self.late:
            text = _("The worker did not answer within %(seconds)d s: it may hold the interpreter, be stopped or dead.")
            return text % {"seconds": PATIENCE}
        return _("The worker was asked and answers within a second or two.")


def ask_stack(job: HasId | UUID | str, by: AbstractBaseUser | None = None, *, wait: float = PATIENCE) -> SeenStack:
    """Ask the worker that runs the job where it is, and wait `wait` seconds for its answer.

    Raises `UnknownJob`, `BrokerAway`, and `Refused` if the job does not run.
    """
    job_id = id_of(job)
    row = lookup.find_job(job_id)
    if row.state != State.ACTIVE or row.worker_id is None:
        text = _("job %(id)s is %(state)s: only one that runs has a stack")
        raise Refused(text % {"id": job_id, "state": row.shown_state()})
    requests, now = StackRequest.objects.using(jobs_settings().database), clock.now()
    requests.filter(asked_at__lt=now - KEPT).delete()
    asked = requests.create(job_id=job_id, worker_id=row.worker_id, asked_at=now)
    note(by, row, _("Asked for its stack."))
    until = clock.monotonic() + wait
    while clock.monotonic() < until and not requests.filter(pk=asked.pk, answered_at__isnull=False).exists():
        time.sleep(LOOK_EVERY)
    asked.refresh_from_db()
    return _seen(asked, clock.now(), late=asked.answered_at is None and wait >= PATIENCE)


def last_stack(job: Job) -> SeenStack | None:
    """The last question about the job, of the last hour."""
    now = clock.now()
    rows = StackRequest.objects.using(jobs_settings().database).filter(job_id=job.pk, asked_at__gte=now - KEPT)
    asked = rows.order_by("-pk").first()
    return None if asked is None else _seen(asked, now)


def _seen(asked: StackRequest, now: datetime, *, late: bool = False) -> SeenStack:
    late = late or (asked.answered_at is None and now - asked.asked_at >= timedelta(seconds=PATIENCE))
    return SeenStack(asked.asked_at, asked.answered_at, asked.stack, late)
