"""The whole engine at one moment: what `jobs status` prints and the admin's overview shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ... import clock, defined
from ...broker import get_broker
from ...broker.facts import Lag
from ...conf import jobs_settings
from ...errors import BrokerAway
from ...models import Process
from ...states import State
from .. import live, lookup
from ..verdict import seconds_between
from .breakers import findings_of_breakers
from .database import findings_of_database
from .finding import LIMITS, Finding, Limits
from .history import finding_of_broker, findings_of_history
from .jumps import findings_of_jumps
from .processes import (
    clock_offsets,
    findings_of_clocks,
    findings_of_keepers,
    findings_of_leases,
    findings_of_news,
    findings_of_trouble,
    lease_lag,
)
from .queues import QueueReport, findings_of_queue, queue_report
from .registered import registered_findings
from .schedules import findings_of_schedules

#: As many of the oldest pending rows are looked at for the relay's lag: a retry keeps its old id.
LOOKED_AT = 100


@dataclass(frozen=True)
class Report:
    """The whole engine at one moment; lags and offsets are in seconds.

    `history`: how far the history is behind the jobs; not at all on the database broker, where claim and settle write
    it in their own transaction. `relay_lag`: how long the oldest accepted job has been on its way to the broker;
    `lease_lag`: how long the oldest ended lease has waited for a reaper; `clock_offsets`: by machine, how far its clock
    is ahead of the database's.
    """

    at: datetime
    queues: Sequence[QueueReport]
    keepers: int
    history: Lag
    relay_lag: float
    lease_lag: float
    clock_offsets: Mapping[str, float]
    findings: Sequence[Finding]

    @property
    def history_lag(self) -> float:
        """How many seconds the history is behind."""
        return self.history.seconds

    @property
    def needs_person(self) -> bool:
        """Whether any finding cannot wait."""
        return any(finding.needs_person for finding in self.findings)


def report(limits: Limits = LIMITS) -> Report:
    """Look at everything; what needs a person stands first. A broker outside the database may be away: that is said."""
    try:
        return _look(limits, get_broker().now())
    except BrokerAway as error:
        if get_broker().rows_are_the_queue:
            raise
        return _look(limits, clock.now(), finding_of_broker(str(error)))


def _look(limits: Limits, now: datetime, away: Finding | None = None) -> Report:
    alive = list(Process.objects.using(jobs_settings().database).filter(lease_until__gt=now))
    known, is_away = defined.queues(), away is not None
    names = [*known, *sorted({*lookup.queues_with_jobs(), *(() if is_away else get_broker().queues())} - known.keys())]
    rows = [queue_report(name, name in known, alive, now, away=is_away) for name in names]
    offsets, unreaped = clock_offsets(alive, away=is_away), lease_lag(now)
    lags = {} if is_away else {name: live.lag(name) for name in names}
    if away is not None:
        # what is known of processes comes from the broker, and gets old
        found = [away]
    else:
        found = [
            *findings_of_keepers(alive, now, limits),
            *findings_of_trouble(alive, now),
            *findings_of_news(alive, now, limits),
            *findings_of_leases(unreaped, now, limits),
            *findings_of_history(lags, now, limits),
        ]
    found += [
        *_findings_of_relay(now, limits),
        *findings_of_clocks(offsets, limits),
        *findings_of_jumps(now),
        *findings_of_schedules(),
        *findings_of_breakers(now),
        *findings_of_database(limits),
        *registered_findings(),
    ]
    for row in rows:
        found.extend(findings_of_queue(row, limits, anyone=bool(alive)))
    return Report(
        at=now,
        queues=rows,
        keepers=sum(worker.kind == "keeper" for worker in alive),
        history=live.whole_lag(list(lags.values())),
        relay_lag=relay_lag(now),
        lease_lag=unreaped,
        clock_offsets=offsets,
        findings=sorted(found, key=lambda finding: not finding.needs_person),
    )


def headline(findings: Sequence[Finding]) -> str:
    """The first line of the overview: what needs a person, else what is worth knowing, else that all is well."""
    return findings[0].text if findings else _("All is well.")


def relay_lag(now: datetime) -> float:
    """For how many seconds the oldest accepted job has been on its way to the broker."""
    pending = lookup.all_jobs().filter(state=State.PENDING).order_by("pk").values_list("created_at", "ready_at", "run")
    # the next run of a dead letter is pending since it became due
    since = [ready_at if run > 1 else created_at for created_at, ready_at, run in pending[:LOOKED_AT]]
    return seconds_between(min(since, default=now), now) or 0.0


def _findings_of_relay(now: datetime, limits: Limits) -> list[Finding]:
    since = now - timedelta(seconds=limits.oldest_pending)
    # a retry keeps its old id and is due at once: it is young while its due time is
    young = Q(ready_at__gte=since, ready_at__lte=now)
    stuck = lookup.created_before(lookup.all_jobs().filter(state=State.PENDING), since).exclude(young)
    number = lookup.capped_count(stuck)
    if not number.number:
        return []
    text = ngettext(
        "%(count)s accepted job has not reached the broker for over a minute: see that `manage.py run_huey` "
        "runs, its keeper relays it.",
        "%(count)s accepted jobs have not reached the broker for over a minute: see that `manage.py run_huey` "
        "runs, its keeper relays them.",
        number.number,
    )
    return [Finding("pending_too_long", "", text % {"count": number}, since=now - timedelta(seconds=relay_lag(now)))]
