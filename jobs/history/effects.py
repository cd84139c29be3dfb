"""What jobs did: an app registers how the rows are found that its tasks write: mails, messages, deliveries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Model

from ..errors import InvalidOption
from ..models import Job
from . import lookup

logger = logging.getLogger(__name__)

#: So many effects of one event are shown.
MOST = 200


@dataclass(frozen=True, slots=True)
class CausedJob:
    """A job whose effects are asked for. `arguments`: JSON values by their names, without the personal ones."""

    id: UUID
    task: str
    event_id: UUID | None
    arguments: Mapping[str, Any]
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobEffect:
    """A row that a job made or moved: a mail, a notification, a delivery. Shown only to who may look at it.

    `text` says how it stands, `at` when that came to be; `job_id` is the job, None where it is the event's as a whole.
    """

    row: Model
    text: str
    at: datetime | None = None
    job_id: UUID | None = None


EffectsFunction = Callable[[Sequence[CausedJob]], Iterable[JobEffect]]
_registered: dict[str, EffectsFunction] = {}


def register_effects(name: str, find: EffectsFunction) -> None:
    """Let the pages of events show what `find(jobs)` returns for their jobs.

    Call it in the app's `ready()`. `find` is called with up to 200 jobs; it must look by indexed columns and answer in
    a few queries however many there are. Raises `InvalidOption` if another function has this name.
    """
    if _registered.setdefault(name, find) is not find:
        raise InvalidOption(f"effects are registered as {name!r} already; give these another name")


def effects_of(jobs: Sequence[Job]) -> list[JobEffect]:
    """The effects of these jobs, the earliest first; a function that raises is logged, and hides no other."""
    caused = [_caused(job) for job in jobs]
    found: list[JobEffect] = []
    for name, find in _registered.items():
        try:
            found.extend(find(caused))
        except Exception:
            logger.exception("effects_failed name=%s", name)
    dated = sorted((one for one in found if one.at is not None), key=lambda one: one.at)  # type: ignore[arg-type, return-value]
    return [*dated, *(one for one in found if one.at is None)][:MOST]


def _caused(job: Job) -> CausedJob:
    arguments = {one.name: one.value for one in lookup.arguments(job) if not one.masked}
    return CausedJob(job.pk, job.task, job.event_id, arguments, job.started_at, job.ended_at)
