"""Findings about processes: none is there, a keeper stands still, ended leases are left lying, clocks go apart."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ... import reasons
from ...broker import get_broker
from ...conf import jobs_settings
from ...models import Process
from ..verdict import duration, seconds_between
from .finding import Finding, Limits


def findings_of_keepers(alive: Sequence[Process], now: datetime, limits: Limits) -> list[Finding]:
    """Nobody is there, no keeper is, or one stands still."""
    if not alive:
        text = _("Nothing works the queues: start `manage.py run_huey`.")
        return [Finding("no_workers", "", text)]
    keepers = [worker for worker in alive if worker.kind == "keeper"]
    if not keepers:
        text = _(
            "No keeper is alive: jobs of dead workers are not given back and periodic tasks do not tick. "
            "Restart `manage.py run_huey`; if this stays, look into its log."
        )
        return [Finding("no_keeper", "", text)]
    found = []
    for keeper in keepers:
        silent = seconds_between(keeper.duties_at or keeper.started_at, now) or 0.0
        if silent > limits.keeper_silent:
            text = _(
                "The keeper %(process)s has not done its duties for %(time)s: look for duty_failed in its log, and "
                "restart that `manage.py run_huey`."
            )
            values = {"process": f"{keeper.host}:{keeper.pid}", "time": duration(silent)}
            found.append(Finding("keeper_stopped", "", text % values, since=keeper.duties_at or keeper.started_at))
    return found


def findings_of_trouble(alive: Sequence[Process], now: datetime) -> list[Finding]:
    """Workers that cannot work, for a reason of their own."""
    found = []
    for worker in alive:
        if not worker.trouble:
            continue
        values = {"process": f"{worker.host}:{worker.pid}", "trouble": reasons.translated(worker.trouble)}
        if reasons.is_late(worker.trouble):
            text = _(
                "The worker %(process)s has %(trouble)s. Their code cannot be stopped: look for past_timeout in its "
                "log, which names the place, and give what hangs there a timeout of its own, or isolated=True."
            )
            found.append(Finding("jobs_past_timeout", worker.queue, text % values, since=worker.trouble_since))
            continue
        text = _(
            "The worker %(process)s cannot work for %(time)s (%(trouble)s): see that the database admits as many "
            "connections as all processes have threads. Its jobs wait and burn no attempt."
        )
        silent = seconds_between(worker.trouble_since, now) or 0.0
        values["time"] = duration(silent)
        found.append(Finding("worker_in_trouble", worker.queue, text % values, since=worker.trouble_since))
    return found


def findings_of_news(alive: Sequence[Process], now: datetime, limits: Limits) -> list[Finding]:
    """Workers whose receivers of job signals do not keep up."""
    found = []
    for worker in alive:
        passed = seconds_between(worker.news_dropped_at, now)
        if passed is None or passed > limits.news_dropped:
            continue
        text = ngettext(
            "The worker %(process)s has dropped %(count)d piece of news about its jobs: a receiver of a job signal, "
            "or the log, does not keep up. Look for news_dropped in its log, which names the place, mend that and "
            "restart `manage.py run_huey`. The jobs themselves go on.",
            "The worker %(process)s has dropped %(count)d pieces of news about its jobs: a receiver of a job signal, "
            "or the log, does not keep up. Look for news_dropped in its log, which names the place, mend that and "
            "restart `manage.py run_huey`. The jobs themselves go on.",
            worker.news_dropped,
        )
        values = {"process": f"{worker.host}:{worker.pid}", "count": worker.news_dropped}
        found.append(Finding("news_dropped", worker.queue, text % values, since=worker.news_dropped_at))
    return found


def findings_of_leases(lag: float, now: datetime, limits: Limits) -> list[Finding]:
    """Jobs of dead processes are not given back."""
    if lag <= limits.lease_lag + jobs_settings().lease:
        return []
    text = _(
        "A process died %(time)s ago and its jobs have not been given back: restart `manage.py run_huey`, whose keeper "
        "does that; if this stays, look into its log."
    )
    return [Finding("leases_not_reaped", "", text % {"time": duration(lag)}, since=now - timedelta(seconds=lag))]


def lease_lag(now: datetime) -> float:
    """For how many seconds the oldest ended lease has waited for a reaper; 0 if none does."""
    ended = Process.objects.using(jobs_settings().database).filter(lease_until__lte=now)
    oldest = ended.order_by("lease_until").values_list("lease_until", flat=True).first()
    return seconds_between(oldest, now) or 0.0


def clock_offsets(alive: Sequence[Process], *, away: bool = False) -> Mapping[str, float]:
    """By how many seconds the clock of each machine is ahead of the database's, at least; this machine's included.

    `away`: the broker is not asked.
    """
    offsets = {} if away else {socket.gethostname()[:100]: get_broker().clock_offset()}
    for worker in alive:
        offset = worker.clock_offset or 0.0
        offsets[worker.host] = max(offsets.get(worker.host, 0.0), offset, key=abs)
    return offsets


def findings_of_clocks(offsets: Mapping[str, float], limits: Limits) -> list[Finding]:
    """Machines whose clocks differ from the database's."""
    found = []
    for host, offset in sorted(offsets.items()):
        if abs(offset) <= limits.clock_offset:
            continue
        if offset > 0:
            text = _(
                "%(host)s: its clock is %(time)s ahead of the database's: let NTP set it. Jobs start by the database's "
                "clock, but logs and the times that tasks calculate do not."
            )
        else:
            text = _(
                "%(host)s: its clock is %(time)s behind the database's: let NTP set it. Jobs start by the database's "
                "clock, but logs and the times that tasks calculate do not."
            )
        found.append(Finding("clock_skew", "", text % {"host": host, "time": duration(abs(offset))}))
    return found
