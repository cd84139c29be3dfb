"""A queue's limits, changed while it is worked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..broker import get_broker
from ..broker.database.limits import columns_of
from ..conf import jobs_settings
from ..errors import InvalidOption, InvalidPolicy, Refused
from ..history.connections import connections_allowed, connections_needed
from ..history.limits import HeldLimits, held_limits, limits_of_row, limits_that_were_set, text_of_limit
from ..history.live import policy_of
from ..history.targets import HasName, name_of
from ..models import QueueState
from ..policy import AS_IN_CODE, InCode, QueueLimits, RateLimit
from .audit import note
from .queue_row import locked_row, queue_rows, tell_from_row


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
    them have finished. The broker itself keeps to the others, from the next claim on. Where several people change
    different limits at once, all of it holds. Returns what holds then.

    Raises `UnknownQueue`, `InvalidOption` for a value that is none, and `Refused` where the worker processes that live
    could need more connections than PostgreSQL allows.
    """
    name = name_of(queue)
    given = {"rate_limit": rate_limit, "concurrency": concurrency, "global_concurrency": global_concurrency}
    changed = {label: value for label, value in given.items() if value is not UNCHANGED}
    policy, broker = policy_of(name), get_broker()
    if not changed:
        return held_limits(policy, limits_that_were_set(name))
    with transaction.atomic(using=jobs_settings().database):
        before = limits_of_row(locked_row(name))
        limits: QueueLimits = replace(before, **changed)  # type: ignore[arg-type]
        try:
            held = limits.over(policy)
        except InvalidPolicy as error:
            raise InvalidOption(str(error)) from error
        if held.concurrency > before.over(policy).concurrency:
            _check_connections(name, limits, held.concurrency)
        if broker.rows_are_the_queue:
            broker.set_limits(name, limits)
        else:
            queue_rows().filter(queue=name).update(**columns_of(limits))
    if not broker.rows_are_the_queue:
        tell_from_row(name, lambda row: broker.set_limits(name, limits_of_row(row)))
    note(by, QueueState(queue=name), _said(changed))
    return held_limits(policy, limits)


def reset_limits(queue: HasName | str, by: AbstractBaseUser | None = None) -> HeldLimits:
    """Let the limits of the queue be those of the code again. Raises what `set_limits` does."""
    as_code = dict.fromkeys(LABELS, AS_IN_CODE)
    return set_limits(queue, by=by, **as_code)


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
