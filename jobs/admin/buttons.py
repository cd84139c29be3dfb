"""The buttons of a job's page, which are also the actions of the list: what each does, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from ..errors import Refused
from ..history import lookup
from ..operate.cancel import cancel
from ..operate.discard import DiscardAnswer, discard
from ..operate.promote import promote
from ..operate.retry import retry
from ..states import LIVE, State


@dataclass(frozen=True)
class Button:
    """A button: what it does, whom it is for, and the states in which it makes sense."""

    name: str
    label: Any
    question: Any
    act: Callable[..., Any]
    permission: str
    states: frozenset[State]


def _discard(job: UUID, by: AbstractBaseUser | None = None) -> DiscardAnswer:
    """Discard a dead letter; one that is none any more stays in the history."""
    row = lookup.find_job(job)
    if row.state != State.FAILED:
        text = gettext("job %(id)s is %(state)s: it is no dead letter any more")
        raise Refused(text % {"id": job, "state": row.shown_state()})
    return discard(job, by)


#: By the last word of their addresses, which is the verb of `jobs.operate` as well.
BUTTONS = {
    button.name: button
    for button in (
        Button(
            "retry",
            pgettext_lazy("button", "Retry"),
            _("Retry these dead letters?"),
            retry,
            "jobs.retry_job",
            frozenset({State.FAILED}),
        ),
        Button(
            "promote",
            pgettext_lazy("button", "Run now"),
            _("Make these jobs due now?"),
            promote,
            "jobs.promote_job",
            frozenset({State.QUEUED}),
        ),
        Button(
            "cancel",
            pgettext_lazy("button", "Cancel"),
            _("Cancel these jobs?"),
            cancel,
            "jobs.cancel_job",
            LIVE,
        ),
        Button(
            "discard",
            pgettext_lazy("button", "Discard"),
            _("Discard these dead letters?"),
            _discard,
            "jobs.discard_job",
            frozenset({State.FAILED}),
        ),
    )
}
