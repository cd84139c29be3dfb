"""A queue's limits, changed while it is worked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..broker import get_broker
from ..broker.database.limits import columns_of
from ..conf import jobs_settings
from ..errors import InvalidOption, InvalidPolicy, Refused
from ..history.connections import connections_allowed, connections_needed
from ..history.limits import HeldLimits, held_limits, limits_that_were_set, text_of_limit
from ..history.live import policy_of
from ..history.targets import HasName, name_of
from ..models import QueueState
from ..policy import AS_IN_CODE, InCode, QueueLimits, RateLimit
from .audit import note
from .commit import with_broker


class Unchanged(Enum):
    """That a limit was not named."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED

#: The words for them, of the history that the admin keeps.
LABELS = {
    "rate_limit": gettext_noop("rate limit"),
    "concurrency": gettext_noop("concurrency"),
    "global_concurrency": gettext_noop("concurrency everywhere"),
}


def set_limits(
    queue: HasName | str,
    *,
    rate_limit: RateLimit | None | InCode | Unchanged = UNCHANGED,
    concurrency: int | InCode | Unchanged = UNCHANGED,
    global_concurrency: int | None | InCode | Unchanged = UNCHANGED,
    by: AbstractBaseUser | None = None,
) -> HeldLimits:
    """Let these limits of a queue hold from now on, until others are set; those that are not named stay.

    None takes a limit away, `AS_IN_CODE` lets the code decide again. `concurrency` is that of each worker process, and
    wins over `run_huey --concurrency`: within a second it begins further threads, or claims nothing until enough of
    them have finished. The broker itself keeps to the others, from the next claim on. Returns what holds then.

    Raises `UnknownQueue`, `InvalidOption` for a value that is none, and `Refused` where the worker processes that live
    could need more connections than PostgreSQL allows.
    """
    name = name_of(queue)
    given = {"rate_limit": rate_limit, "concurrency": concurrency, "global_concurrency": global_concurrency}
    changed = {label: value for label, value in given.items() if value is not UNCHANGED}
    policy, before = policy_of(name), limits_that_were_set(name)
    limits: QueueLimits = replace(before, **changed)  # type: ignore[arg-type]
    try:
        held = limits.over(policy)
    except InvalidPolicy as error:
        raise InvalidOption(str(error)) from error
    if held.concurrency > before.over(policy).concurrency:
        _check_connections(name, limits, held.concurrency)
    _keep(name, limits)
    with_broker(partial(get_broker().set_limits, name, limits), None)
    note(by, QueueState(queue=name), _said(changed))
    return held_limits(policy, limits)


def reset_limits(queue: HasName | str, by: AbstractBaseUser | None = None) -> HeldLimits:
    """Let the limits of the queue be those of the code again. Raises what `set_limits` does."""
    as_code = dict.fromkeys(LABELS, AS_IN_CODE)
    return set_limits(queue, by=by, **as_code)


def _keep(queue: str, limits: QueueLimits) -> None:
    """Write it down in SQL: a broker outside the database may be wiped, and is told again then."""
    if not get_broker().rows_are_the_queue:
        states = QueueState.objects.using(jobs_settings().database)
        states.update_or_create(queue=queue, defaults=columns_of(limits))


def _check_connections(queue: str, limits: QueueLimits, threads: int) -> None:
    found = connections_allowed()
    if found is None:
        return
    allowed, _used = found
    if (needed := connections_needed({queue: limits})) > allowed:
        text = _(
            "%(queue)s: with concurrency %(threads)d the worker processes that live could need %(needed)d connections, "
            "and PostgreSQL allows %(allowed)d (max_connections, without the reserved ones): choose a smaller number, "
            "or raise max_connections first"
        )
        raise Refused(text % {"queue": queue, "threads": threads, "needed": needed, "allowed": allowed})


def _said(changed: Mapping[str, object]) -> str:
    return _("Limits: %(what)s.") % {
        "what": ", ".join(f"{_(LABELS[name])} {text_of_limit(value)}" for name, value in changed.items())
    }
