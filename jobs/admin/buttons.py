"""The buttons of a job's page, which are also the actions of the list: what each does, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..operate.cancel import cancel
from ..operate.discard import discard
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
            partial(discard, only_dead=True),
            "jobs.discard_job",
            frozenset({State.FAILED}),
        ),
    )
}
