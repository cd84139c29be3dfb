"""Whether a cause of dead letters seems mended: what of its task has succeeded since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..conf import jobs_settings
from ..defined import queues
from ..models import Release
from ..policy import QueuePolicy
from ..states import State
from . import lookup
from .causes import DeadCause
from .plans import by_index

#: So many that succeeded since, and none that failed, and a cause seems mended.
ENOUGH = 10
#: Completed jobs of the queue that are looked at.
LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Since:
    """How many jobs of a cause's task completed since its last dead letter: `at_least`, where more may have.

    `release` is the one that has come since, if one has, and they are counted from its coming; `unknown`: the queue
    keeps no completed jobs, so that nobody can tell.
    """

    succeeded: int
    since: datetime
    release: str = ""
    at_least: bool = False
    unknown: bool = False

    @property
    def seems_mended(self) -> bool:
        """Whether it looks as if the cause is gone."""
        return self.succeeded >= ENOUGH

    @property
    def text(self) -> str:
        """The same in words."""
        if self.unknown:
            return _("its queue keeps no completed jobs: nobody can tell whether it is mended")
        number = f"{self.succeeded:,}{'+' if self.at_least else ''}"
        values = {"number": number, "release": self.release}
        if self.release:
            told = ngettext(
                "%(number)s succeeded since release %(release)s",
                "%(number)s succeeded since release %(release)s",
                self.succeeded,
            )
        else:
            told = ngettext(
                "%(number)s succeeded since the last failure",
                "%(number)s succeeded since the last failure",
                self.succeeded,
            )
        text = told % values
        return _("seems mended: %(what)s") % {"what": text} if self.seems_mended else text


def since_last(cause: DeadCause, most: int = LOOKED_AT) -> Since:
    """What is known of the cause's task since its last dead letter; looks at `most` completed jobs of its queue.

    Retention may have removed some that completed, and those of other tasks count among the `most`: then it is *at
    least* so many.
    """
    alias = jobs_settings().database
    came = Release.objects.using(alias).filter(since__gt=cause.last_at).order_by("-since").first()
    release = came.name if came is not None and came.name != cause.last_release else ""
    since = came.since if came is not None and release else cause.last_at
    queue = queues().get(cause.queue)
    kept = (queue.policy if queue else QueuePolicy(cause.queue)).retention
    if not kept.completed:
        return Since(0, since, release, unknown=True)
    rows = lookup.all_jobs().filter(queue=cause.queue, state=State.COMPLETED)
    with by_index(alias):
        later = rows.filter(ended_at__gt=since).order_by("-ended_at", "-id").values_list("task", flat=True)
        tasks = list(later[: most + 1])
    # as many as retention keeps: others have gone
    cut = len(tasks) > most or len(tasks) >= kept.completed or kept.age is not None
    return Since(tasks[:most].count(cause.task), since, release, at_least=cut)
