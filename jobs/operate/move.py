"""Move: the jobs of a Redis that is left come to the present broker, the database or another Redis (DESIGN: Recovery).

Nothing is claimed there any more, and what runs there ends first. Then every job that waits becomes a row of the
outbox, and only then it is dropped there: broken off anywhere, the same call goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connections, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import clock
from ..broker import get_broker, left_redis
from ..broker.contract import LOSS_RULES
from ..broker.database.pending import note_elsewhere
from ..broker.facts import Fact, Recorded, Start, Step
from ..broker.records import Completed
from ..conf import jobs_settings
from ..enqueue.outbox import push_pending
from ..errors import Refused
from ..faults import point
from ..history import facts, lookup
from ..history.live import policy_of
from ..models import Grant, GroupState, Job, Marker, QueueState
from ..reasons import COMMITTED_BEFORE
from ..states import State
from .groups import all_groups

if TYPE_CHECKING:
    from ..broker.redis.left import LeftRedis, Waiting

logger = logging.getLogger("jobs.operate")

#: Jobs of one step, and pages of facts that are read at once.
CHUNK, PAGES = 500, 100
#: Seconds between two looks at what still runs.
LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one queue: jobs that came over, those that had ended though nobody knew, facts that were heard."""

    queue: str
    jobs: int
    ended: int
    facts: int


def move(url: str, longest: float = 60.0) -> list[Moved]:
    """Move the jobs of the settings' namespace from the Redis at `url` to the present broker.

    Waits at most so many seconds for what runs there. Raises `Refused` where that is the present broker, holds nothing
    of the namespace, or still runs jobs, and `BrokerAway` where it cannot be reached; said again it goes on.
    """
    source = left_redis(url)
    try:
        return _move(source, longest)
    finally:
        source.close()


def reuse() -> int:
    """Let the present Redis, which `move` has left, be used again; returns how many queues it holds."""
    url = jobs_settings().redis_url
    if not url:
        raise Refused(_("REDIS_URL is not set: there is no Redis to use again"))
    source = left_redis(url)
    try:
        names = {*lookup.queues_with_jobs(), *source.queues()}
        QueueState.objects.using(jobs_settings().database).filter(left_store=source.left_store).update(left_store="")
        for name in sorted(names):
            source.reuse(name)
        return len(names)
    finally:
        source.close()


def give_up() -> int:
    """Let the database run what its rows tell of a Redis that is gone for good; returns how many queues that were.

    Jobs without a row are lost with it, and what it has run without telling the history runs again.
    """
    if not get_broker().rows_are_the_queue:
        raise Refused(_("REDIS_URL is set: unset it first, else the jobs are in that Redis"))
    left = QueueState.objects.using(jobs_settings().database).filter(elsewhere=True)
    return left.update(elsewhere=False, life="")


def _move(source: LeftRedis, longest: float) -> list[Moved]:
    _check(source)
    names = sorted(source.queues())
    for name in names:
        source.leave(name)
        _fence(name, source.left_store)
    point("move.left")
    _wait(source, names, longest)
    moved = [_move_queue(source, name) for name in names]
    push_pending()
    return moved


def _check(source: LeftRedis) -> None:
    present = get_broker()
    same = present.store == source.left_store
    if not source.is_known():
        text = _("that Redis holds nothing of the namespace '%(namespace)s': check --from and JOBS_NAMESPACE")
        raise Refused(text % {"namespace": jobs_settings().namespace})
    for name in source.queues() if present.store else ():
        life = present.life(name, "", "")
        same = same or (life is not None and life.generation == source.generation(name))
    if same:
        raise Refused(_("--from is the Redis of REDIS_URL, where the jobs are to be: name the one that is left"))


def _fence(queue: str, store: str) -> None:
    """Whoever still uses that store leaves the rows alone; the database's workers wait until all is over."""
    rows = QueueState.objects.using(jobs_settings().database)
    if not rows.filter(queue=queue, left_store=store).exists():
        note_elsewhere(connections[rows.db], queue, "")
        rows.filter(queue=queue).update(left_store=store)


def _wait(source: LeftRedis, names: Sequence[str], longest: float) -> None:
    """Wait until nothing runs there: it ends, or its process is silent for a lease and it goes back."""
    end = clock.monotonic() + longest
    while True:
        source.reap(names)
        active: list[UUID] = []
        for name in names:
            source.drop_adopted(name)
            active += source.active_ids(name)
        if not active:
            return
        if clock.monotonic() >= end:
            text = ngettext(
                "%(count)d job still runs there: wait for its end, or stop the processes that use that Redis, and say "
                "it again; nothing was lost: %(ids)s",
                "%(count)d jobs still run there: wait for their end, or stop the processes that use that Redis, and "
                "say it again; nothing was lost: %(ids)s",
                len(active),
            )
            raise Refused(text % {"count": len(active), "ids": ", ".join(map(str, active[:20]))})
        time.sleep(LOOK)


def _move_queue(source: LeftRedis, queue: str) -> Moved:
    policy = policy_of(queue)
    heard = 0
    while (more := facts.catch_up(source, policy, PAGES)) > 0:
        heard += more
    source.heal(queue)
    jobs = ended = 0
    while waiting := source.read_waiting(queue, CHUNK):
        point("move.before_commit")
        over = _write(queue, waiting)
        point("move.after_commit")
        source.drop(queue, [(one.recorded.job.id, one.recorded.job.run) for one in waiting])
        jobs, ended = jobs + len(waiting) - over, ended + over
    _open(source, queue)
    logger.warning("moved queue=%s jobs=%d ended=%d facts=%d", queue, jobs, ended, heard)
    return Moved(queue, jobs, ended, heard)


def _write(queue: str, waiting: Sequence[Waiting]) -> int:
    """Let jobs be rows of the outbox; returns how many have ended, since the task's transaction had committed."""
    rows = lookup.all_jobs()
    by_id = {one.recorded.job.id: one for one in waiting}
    done = Marker.objects.using(rows.db).filter(ended_at=None).in_bulk(by_id)
    if done:
        told = [_completed(by_id[id].recorded, marker) for id, marker in done.items()]
        facts.write(queue, told)
    live = [one for id, one in by_id.items() if id not in done]
    ids = [one.recorded.job.id for one in live]
    with transaction.atomic(using=rows.db):
        known = set(rows.filter(pk__in=ids).values_list("pk", flat=True))
        new = [_pending(one) for one in live if one.recorded.job.id not in known]
        Job.objects.using(rows.db).bulk_create(new, ignore_conflicts=True)
        # one that runs or has ended has come over before
        rows.filter(pk__in=known, state=State.QUEUED).update(state=State.PENDING)
        pending = rows.filter(pk__in=ids, state=State.PENDING)
        pending.filter(lost__gte=LOSS_RULES.alone_after).update(alone=True)
    return len(done)


def _pending(one: Waiting) -> Job:
    row = facts.row_of(one.recorded)
    row.state = State.PENDING
    row.unknown_since = one.unknown_since
    return row


def _completed(before: Recorded, marker: Marker) -> Fact:
    at = get_broker().now()
    start = Start(Completed, 0, at, None, at, reason=COMMITTED_BEFORE, result=marker.result)
    return Fact(Step.SETTLED, before.job.id, before.job.run, State.COMPLETED, at, before=before, start=start)


def _open(source: LeftRedis, queue: str) -> None:
    """The present broker has the queue now; on the database its workers begin, and its pace goes on."""
    if not get_broker().rows_are_the_queue:
        return
    rows = QueueState.objects.using(jobs_settings().database)
    until = source.counts(queue).blocked_until
    limit = policy_of(queue).rate_limit
    now = get_broker().now()
    with transaction.atomic(using=rows.db):
        held = rows.select_for_update().get(queue=queue)
        if held.elsewhere and limit is not None:
            _grant(queue, held, [at for at in source.grants(queue) if at > now - timedelta(seconds=limit.per)])
        wait = {"wait_until": until, "wait_from": now} if until is not None else {}
        _open_groups(source, queue, now)
        rows.filter(queue=queue).update(elsewhere=False, life="", **wait)
    point("move.opened")


def _open_groups(source: LeftRedis, queue: str, now: datetime) -> None:
    """What providers have asked for groups holds on, and so does their pace; what people have asked is in SQL."""
    alias = jobs_settings().database
    for seen in all_groups(source, queue):
        if seen.blocked_until is not None:
            wait = {"wait_until": seen.blocked_until, "wait_from": now}
            GroupState.objects.using(alias).update_or_create(queue=queue, name=seen.name, defaults=wait)
    Grant.objects.using(alias).bulk_create(
        Grant(queue=queue, subject=f"g{name}", number=1, granted_at=min(at, now), start_by=at)
        for name, at in source.group_grants(queue)
    )


def _grant(queue: str, held: QueueState, moments: Sequence[datetime]) -> None:
    rows = Grant.objects.using(jobs_settings().database)
    if held.taken is None:
        rows.filter(queue=queue, subject="").delete()
    now = get_broker().now()
    rows.bulk_create([Grant(queue=queue, number=1, granted_at=min(at, now), start_by=at) for at in moments])
    taken = (held.taken or 0) + len(moments)
    QueueState.objects.using(rows.db).filter(queue=queue).update(taken=taken)
