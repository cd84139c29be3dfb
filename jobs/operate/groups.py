"""The groups of a queue: which there are, pause and resume of one, and limits of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from .. import clock
from ..broker import get_broker
from ..broker.contract import Broker
from ..broker.lanes import GroupSeen, GroupSettings
from ..conf import jobs_settings
from ..define.labels import checked_group
from ..history.targets import HasName, name_of
from ..models import GroupState, QueueState
from ..policy import GroupRules, RateLimit
from .audit import note
from .commit import with_broker

#: Groups of one page, and the most that a call answers.
PAGE, MOST = 100, 1_000


def groups(queue: HasName | str, after: str = "", limit: int = PAGE) -> Sequence[GroupSeen]:
    """The queue's groups with live jobs or settings of their own, behind a name, in the order of their names.

    At most `limit` (1,000). Raises `UnknownQueue` and `BrokerAway`.
    """
    return get_broker().groups(name_of(queue), after, min(max(limit, 1), MOST))


def pause_group(queue: HasName | str, group: str, by: AbstractBaseUser | None = None) -> None:
    """Let no job of the group start any more, also of one that has none yet; what runs, goes on.

    Raises `UnknownQueue` and `InvalidOption`.
    """
    name, group = name_of(queue), checked_group(group)
    _change(name, group, lambda known: replace(known, paused=True))
    note(by, QueueState(queue=name), _("Paused group %(group)s.") % {"group": group})


def resume_group(queue: HasName | str, group: str, by: AbstractBaseUser | None = None) -> None:
    """End the group's pause and what a provider's "slow down" had asked for it; its limits stay.

    Raises `UnknownQueue` and `InvalidOption`.
    """
    name, group = name_of(queue), checked_group(group)
    _change(name, group, lambda known: replace(known, paused=False), ends_wait=True)
    note(by, QueueState(queue=name), _("Resumed group %(group)s.") % {"group": group})


def set_group_limits(
    queue: HasName | str,
    group: str,
    concurrency: int | None = None,
    rate_limit: RateLimit | None = None,
    by: AbstractBaseUser | None = None,
) -> None:
    """Let these hold for the group in place of what its queue says for each; None: as the queue says.

    `concurrency`: its active jobs over all machines; `rate_limit`: its starts. From the next claim on. Raises
    `UnknownQueue`, `InvalidOption` and, for values that are no limits, `InvalidPolicy`.
    """
    name, group = name_of(queue), checked_group(group)
    GroupRules(concurrency, rate_limit).check(f"set_group_limits({name!r}, {group!r})")
    _change(name, group, lambda known: replace(known, concurrency=concurrency, rate_limit=rate_limit))
    note(by, QueueState(queue=name), _("Changed the limits of group %(group)s.") % {"group": group})


def settings_of(row: GroupState | None) -> GroupSettings:
    """What a row says; nothing where there is none."""
    if row is None:
        return GroupSettings()
    rate = RateLimit(row.rate_limit, per=row.rate_per or 1) if row.rate_limit else None
    return GroupSettings(row.paused, row.concurrency, rate)


def all_groups(broker: Broker, queue: str) -> Iterator[GroupSeen]:
    """All groups of a queue that its broker knows, read in pages."""
    after = ""
    while page := broker.groups(queue, after, MOST):
        yield from page
        after = page[-1].name


def tell_groups(broker: Broker, queue: str) -> None:
    """Let a broker outside the database know what holds for groups by SQL, after it may have lost it."""
    known = {row.name: settings_of(row) for row in _rows().filter(queue=queue)}
    for seen in all_groups(broker, queue):
        if seen.settings != known.get(seen.name, GroupSettings()):
            broker.set_group(queue, seen.name, known.pop(seen.name, GroupSettings()))
        else:
            known.pop(seen.name, None)
    for name, settings in known.items():
        if settings != GroupSettings():
            broker.set_group(queue, name, settings)


def _change(
    queue: str, group: str, change: Callable[[GroupSettings], GroupSettings], *, ends_wait: bool = False
) -> None:
    broker = get_broker()
    with transaction.atomic(using=jobs_settings().database):
        # of two who change it at once the later one changes what the first has made of it
        _rows().get_or_create(queue=queue, name=group)
        settings = change(settings_of(_locked(queue, group)))
        if broker.rows_are_the_queue:
            broker.set_group(queue, group, settings, ends_wait=ends_wait)
            return
        _keep(queue, group, settings)
    with_broker(partial(_tell, queue, group, ends_wait=ends_wait), None)


def _tell(queue: str, group: str, *, ends_wait: bool) -> None:
    """Let a broker outside the database know what the row says: who tells it last has read what was written last."""
    with transaction.atomic(using=jobs_settings().database):
        get_broker().set_group(queue, group, settings_of(_locked(queue, group)), ends_wait=ends_wait)


def _locked(queue: str, group: str) -> GroupState | None:
    return _rows().select_for_update().filter(queue=queue, name=group).first()


def _keep(queue: str, group: str, settings: GroupSettings) -> None:
    """Write it down in SQL: a broker outside the database may be wiped, and is told again then."""
    rows = _rows()
    if settings == GroupSettings():
        rows.filter(queue=queue, name=group).delete()
        return
    rate = settings.rate_limit
    said = {
        "paused": settings.paused,
        "paused_at": clock.now() if settings.paused else None,
        "concurrency": settings.concurrency,
        "rate_limit": rate and rate.limit,
        "rate_per": rate and rate.per,
    }
    rows.update_or_create(queue=queue, name=group, defaults=said)


def _rows() -> QuerySet[GroupState]:
    return GroupState.objects.using(jobs_settings().database)
