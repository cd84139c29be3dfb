"""Whether a job is what the options of `using` asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..define.options import Options
from ..policy import stored_priority

if TYPE_CHECKING:
    from ..models import Job

#: Seconds by which a store may round what it was asked for.
_INEXACT = 0.01


def differences(job: Job, options: Options) -> list[str]:
    """In what a job differs from these options, said as they are written."""
    delay = (job.ready_at - job.created_at).total_seconds()
    expires = None if job.expires_at is None else (job.expires_at - job.created_at).total_seconds()
    about = (job.about_type, job.about_id) if job.about_type else None
    found: list[str] = []
    if options.priority is not None and job.stored_priority != stored_priority(options.priority):
        found.append(f"priority={job.priority}")
    if options.key is not None and job.key != options.key:
        found.append(f"key={job.key!r}")
    if options.about is not None and about != options.about:
        found.append(f"about={about!r}")
    if options.delay and abs(delay - options.delay) > _INEXACT:
        found.append(f"delay={delay:g}")
    if options.at is not None and job.ready_at != options.at:
        found.append(f"at={job.ready_at.isoformat()}")
    if options.expires is not None and (expires is None or abs(expires - options.expires) > _INEXACT):
        found.append("expires=None" if expires is None else f"expires={expires:g}")
    return found
