"""What is told, by name: https://prometheus.io/docs/practices/naming/ has the rules of the names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from django.db import connections
from django.db.models import Sum
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from .. import clock, defined
from ..broker import get_broker
from ..broker.tally import BOUNDS, DISCARDED, ENDS, LOST, RETRIED
from ..conf import jobs_settings
from ..errors import BrokerAway, QueueBroken
from ..history import live, lookup
from ..history.breakers import Stand, all_rules, breakers
from ..history.limits import shared_limits
from ..history.provider_calls import CALLS, OUTCOMES
from ..history.status.report import relay_lag
from ..history.verdict import seconds_between
from ..models import AttemptOutcome, Process, QueueStat, TaskStat
from ..states import State

#: In place of the name of a task or queue that no code here defines: names of strangers must not become series.
OTHER = "other"
_TASK = ("queue", "task")
_BOUNDS = [*(f"{bound / 1_000:g}" for bound in BOUNDS), "+Inf"]
_PUT_OFF = (AttemptOutcome.POSTPONED.value, AttemptOutcome.HANDED_BACK.value)

Key = tuple[str, str]


@dataclass
class _Counted:
    """What the counters say of one task."""

    by_outcome: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    ran: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))
    waited: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))
    ran_ms: int = 0
    waited_ms: int = 0


def families() -> Iterator[Metric]:
    """Everything that is told; a few look-ups a queue, whatever the tables hold. Raises the database's errors."""
    yield from _of_tasks(_counted())
    yield from _of_calls()
    yield from _of_processes()
    yield _of_breakers()
    try:
        yield from _of_queues()
        yield from _of_history()
        yield from _of_limits()
        up = 1
    except BrokerAway:
        up = 0
    yield GaugeMetricFamily("esteira_broker_up", "Whether the broker answers.", value=up)


def _counted() -> Mapping[Key, _Counted]:
    known = defined.queues().keys()
    tasks: dict[Key, str] = {}
    found: defaultdict[Key, _Counted] = defaultdict(_Counted)
    for queue in defined.queues().values():
        for task in queue.tasks.values():
            tasks.update(((queue.name, name), task.name) for name in (task.name, *task.aliases))
            # what never ran counts from zero: a rate needs the first step as well
            found[queue.name, task.name].by_outcome.update(dict.fromkeys(ENDS, 0))
    stats = TaskStat.objects.using(jobs_settings().database).filter(part__gte=0).exclude(queue=CALLS).order_by()
    cells, numbers = ("queue", "task", "outcome", "ran", "waited"), ("jobs", "ran_ms", "waited_ms")
    if connections[stats.db].vendor == "sqlite":
        # an hour has one part here, and to group them SQLite would walk the hours that are only shown as well
        rows = stats.values_list(*cells, *numbers)
    else:
        rows = stats.values_list(*cells).annotate(*map(Sum, numbers))
    for queue_name, task_name, outcome, ran, waited, jobs, ran_ms, waited_ms in rows:
        key = queue_name if queue_name in known else OTHER, tasks.get((queue_name, task_name), OTHER)
        one = found[key]
        one.by_outcome[outcome] += jobs
        if ran >= 0:
            one.ran[ran] += jobs
            one.waited[waited] += jobs
            one.ran_ms += ran_ms
            one.waited_ms += waited_ms
    _add_old_counters(found)
    return found


def _add_old_counters(found: defaultdict[Key, _Counted]) -> None:
    """What a worker of the release before this one has counted since the keeper took that over."""
    outcomes = (*ENDS, RETRIED, LOST, DISCARDED)
    known = defined.queues().keys()
    for row in QueueStat.objects.using(jobs_settings().database).all():
        one = found[row.queue if row.queue in known else OTHER, OTHER]
        for outcome in outcomes:
            one.by_outcome[outcome] += getattr(row, outcome)


def _of_tasks(counted: Mapping[Key, _Counted]) -> Iterator[Metric]:
    ended = CounterMetricFamily("esteira_jobs", "Jobs that ended, by how.", labels=[*_TASK, "outcome"])
    put_off = CounterMetricFamily(
        "esteira_job_returns", "Starts after which a job came back without a failure.", labels=[*_TASK, "reason"]
    )
    ran = HistogramMetricFamily("esteira_job_run_seconds", "How long a start ran.", labels=_TASK)
    waited = HistogramMetricFamily("esteira_job_wait_seconds", "How long a due job waited to start.", labels=_TASK)
    others = {
        RETRIED: CounterMetricFamily("esteira_job_retries", "Attempts that failed and are tried again.", labels=_TASK),
        LOST: CounterMetricFamily("esteira_jobs_lost", "Starts whose worker process died.", labels=_TASK),
        DISCARDED: CounterMetricFamily("esteira_dead_letters_discarded", "Dead letters given up.", labels=_TASK),
    }
    for key, one in sorted(counted.items()):
        for outcome in ENDS:
            ended.add_metric([*key, outcome], one.by_outcome[outcome])
        for reason in _PUT_OFF:
            put_off.add_metric([*key, reason], one.by_outcome[reason])
        for outcome, family in others.items():
            family.add_metric(key, one.by_outcome[outcome])
        ran.add_metric(key, _buckets(one.ran), one.ran_ms / 1_000)
        waited.add_metric(key, _buckets(one.waited), one.waited_ms / 1_000)
    yield from (ended, *others.values(), put_off, ran, waited)


def _of_calls() -> Iterator[Metric]:
    calls = CounterMetricFamily("esteira_provider_calls", "Calls of other services.", labels=["provider", "outcome"])
    took = HistogramMetricFamily("esteira_provider_call_seconds", "How long such a call took.", labels=["provider"])
    stats = TaskStat.objects.using(jobs_settings().database).filter(part__gte=0, queue=CALLS).order_by()
    found: defaultdict[str, _Counted] = defaultdict(_Counted, {name: _Counted() for name in all_rules()})
    for provider, outcome, ran, jobs, ran_ms in stats.values_list("task", "outcome", "ran").annotate(
        Sum("jobs"), Sum("ran_ms")
    ):
        one = found[provider]
        one.by_outcome[outcome] += jobs
        one.ran[ran] += jobs
        one.ran_ms += ran_ms
    for provider, one in sorted(found.items()):
        for outcome in OUTCOMES:
            calls.add_metric([provider, outcome], one.by_outcome[outcome])
        took.add_metric([provider], _buckets(one.ran), one.ran_ms / 1_000)
    yield from (calls, took)


def _buckets(counts: Sequence[int]) -> list[tuple[str, float]]:
    return list(zip(_BOUNDS, map(float, accumulate(counts)), strict=True))


def _of_processes() -> Iterator[Metric]:
    alive = Process.objects.using(jobs_settings().database).filter(lease_until__gt=clock.now())
    kinds = list(alive.values_list("kind", "queue"))
    workers = GaugeMetricFamily("esteira_workers", "Worker processes that live.", labels=["queue"])
    for name in defined.queues():
        workers.add_metric([name], sum(one == ("worker", name) for one in kinds))
    yield workers
    yield GaugeMetricFamily("esteira_keepers", "Keepers that live.", value=sum(kind == "keeper" for kind, _ in kinds))
    pending = lookup.all_jobs().filter(state=State.PENDING)
    number = lookup.capped_count(pending).number
    yield GaugeMetricFamily(
        "esteira_outbox_jobs", "Jobs that are accepted and not yet with the broker, at most 10000.", value=number
    )
    yield GaugeMetricFamily(
        "esteira_outbox_age_seconds", "How long the oldest of them has been so.", value=relay_lag(clock.now())
    )


def _of_breakers() -> Metric:
    is_open = GaugeMetricFamily("esteira_breaker_open", "Whether it holds its jobs back.", labels=["breaker"])
    for one in breakers():
        is_open.add_metric([one.breaker.name], one.state != Stand.CLOSED)
    return is_open


def _of_queues() -> Iterator[Metric]:
    jobs = GaugeMetricFamily("esteira_queue_jobs", "Jobs of a queue, at most 10000.", labels=["queue", "state"])
    oldest = GaugeMetricFamily(
        "esteira_queue_oldest_age_seconds", "How long the oldest due job has waited.", labels=["queue"]
    )
    paused = GaugeMetricFamily("esteira_queue_paused", "Whether somebody paused it.", labels=["queue"])
    held = GaugeMetricFamily(
        "esteira_queue_told_to_wait_seconds", "For how long a task let the whole queue wait.", labels=["queue"]
    )
    broken = GaugeMetricFamily("esteira_queue_broken", "Whether its keys cannot be used.", labels=["queue"])
    broker = get_broker()
    now = broker.now()
    for name in defined.queues():
        dead = lookup.capped_count(lookup.all_jobs().filter(queue=name, state=State.FAILED)).number
        jobs.add_metric([name, "dead_letter"], dead)
        try:
            counts = broker.counts(name)
        except QueueBroken:
            broken.add_metric([name], 1)
            continue
        broken.add_metric([name], 0)
        for state in ("waiting", "scheduled", "active"):
            jobs.add_metric([name, state], getattr(counts, state))
        waited = seconds_between(counts.oldest_ready_at, now) if counts.waiting else 0.0
        oldest.add_metric([name], waited or 0.0)
        paused.add_metric([name], counts.paused)
        held.add_metric([name], seconds_between(now, counts.blocked_until) or 0.0)
    yield from (jobs, oldest, paused, held, broken)


def _of_history() -> Iterator[Metric]:
    lag = live.whole_lag([live.lag(name) for name in defined.queues()])
    yield GaugeMetricFamily("esteira_history_lag_seconds", "By how much the history is behind.", value=lag.seconds)
    yield GaugeMetricFamily("esteira_history_facts", "Facts that wait for it, at most 10000 a queue.", value=lag.facts)


def _of_limits() -> Iterator[Metric]:
    used = GaugeMetricFamily(
        "esteira_limit_used_ratio", "Which part of a shared limit's starts this period has used.", labels=["limit"]
    )
    for one in shared_limits():
        used.add_metric([one.limit.name], one.starts / one.limit.rate_limit.limit)
    yield used
