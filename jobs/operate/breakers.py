"""Circuit breakers by hand, and what the engine's processes do with one: each move under the lock of its row."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from .. import signals
from ..conf import jobs_settings
from ..errors import UnknownBreaker
from ..history.breakers import all_rules, database_now
from ..models import BreakerState
from ..policy import Breaker
from ..visible import visible
from .audit import note
from .commit import after_commit

logger = logging.getLogger("jobs.breaker")


def open_breaker(name: str, by: AbstractBaseUser | None = None) -> None:
    """Let no job start of the tasks that name this breaker, until somebody closes it by hand; what runs goes on.

    Worker processes hear of it within a second. Raises `UnknownBreaker`.
    """
    with _locked(_known(name)) as row:
        was_open = row.opened_at is not None
        row.open(database_now(), probe_at=None)
        note(by, row, _("Opened by hand."))
    if not was_open:
        after_commit(partial(tell, name, opened=True, by_hand=True))


def close_breaker(name: str, by: AbstractBaseUser | None = None) -> None:
    """Let the jobs of these tasks start again within a second, and forget the failures. Raises `UnknownBreaker`."""
    with _locked(_known(name)) as row:
        was_open = row.opened_at is not None
        row.close()
        note(by, row, _("Closed by hand."))
    if was_open:
        after_commit(partial(tell, name, opened=False, by_hand=True))


def count_failure(rule: Breaker) -> tuple[bool, bool]:
    """Count a failure of a job that did not probe; whether the breaker is open now, and whether that is news."""
    with _locked(rule.name) as row:
        is_news = row.fail(rule, database_now())
        return row.opened_at is not None, is_news


def end_probe(rule: Breaker, by: UUID, *, well: bool) -> bool:
    """Close the breaker behind a process's probe, or let it be open for another while; False: it probed no more."""
    with _locked(rule.name) as row:
        if row.probe_by != by:
            return False
        if well:
            row.close()
        else:
            now = database_now()
            row.open(now, probe_at=now + timedelta(seconds=rule.probe_after))
        return True


def give_probe_back(name: str, by: UUID) -> None:
    """Let another process probe at once."""
    _probed(name, by).update(probe_by=None, probe_until=None)


def prolong_probe(rule: Breaker, by: UUID) -> bool:
    """Let nobody else probe while the job of this process runs; False: the breaker was opened or closed meanwhile."""
    return bool(_probed(rule.name, by).update(probe_until=database_now() + timedelta(seconds=rule.probe_after)))


def tell(name: str, *, opened: bool, by_hand: bool = False) -> None:
    """Let log and listeners know that a breaker has opened or closed."""
    event, signal = ("opened", signals.breaker_opened) if opened else ("closed", signals.breaker_closed)
    logger.log(logging.WARNING if opened else logging.INFO, "breaker_%s name=%s by_hand=%s", event, name, by_hand)
    for receiver, answer in signal.send_robust(sender=name, by_hand=by_hand):
        if isinstance(answer, Exception):
            kind, text = type(answer).__name__, visible(str(answer))
            logger.error("receiver_failed signal=breaker_%s receiver=%r %s: %s", event, receiver, kind, text)


def _known(name: str) -> str:
    if name not in (rules := all_rules()):
        known = ", ".join(sorted(rules)) or _("there are none")
        text = _("breaker %(name)s is not defined; breakers are: %(known)s")
        raise UnknownBreaker(text % {"name": f"'{name}'", "known": known})
    return name


@contextmanager
def _locked(name: str) -> Iterator[BreakerState]:
    """The row, which is saved if nothing is raised."""
    alias = jobs_settings().database
    with transaction.atomic(using=alias):
        row, _made = BreakerState.objects.using(alias).select_for_update().get_or_create(name=name)
        yield row
        row.save(using=alias)


def _probed(name: str, by: UUID) -> QuerySet[BreakerState]:
    return BreakerState.objects.using(jobs_settings().database).filter(name=name, probe_by=by)
