"""How the states of jobs and of their attempts look."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.html import escape

from admin_lists.marks import Mark, marked

from ..models import STATE_WORDS, AttemptOutcome
from ..states import Shown, State

#: Each state has a shape of its own.
MARKS: Mapping[str, Mark] = {
    Shown.BLOCKED: Mark("quiet", "lock"),
    Shown.PENDING: Mark("wait", "arrow"),
    Shown.SCHEDULED: Mark("later", "clock"),
    Shown.WAITING: Mark("wait", "ring"),
    State.QUEUED: Mark("wait", "bars"),
    Shown.RETRYING: Mark("again", "turn"),
    Shown.ACTIVE: Mark("run", "play"),
    Shown.COMPLETED: Mark("good", "check"),
    Shown.FAILED: Mark("bad", "cross"),
    Shown.CANCELLED: Mark("quiet", "slash"),
    Shown.EXPIRED: Mark("quiet", "hourglass"),
}

OUTCOMES: Mapping[str, Mark] = {
    AttemptOutcome.COMPLETED: Mark("good", "check"),
    AttemptOutcome.FAILED: Mark("bad", "cross"),
    AttemptOutcome.POSTPONED: Mark("later", "clock"),
    AttemptOutcome.HANDED_BACK: Mark("wait", "undo"),
    AttemptOutcome.LOST: Mark("again", "question"),
    AttemptOutcome.INTERRUPTED: Mark("again", "square"),
    AttemptOutcome.CANCELLED: Mark("quiet", "slash"),
}


def state_mark(state: str) -> str:
    """A job's state, stored or shown, as a coloured word with its shape; what is no state as it stands."""
    mark = MARKS.get(state)
    return escape(state) if mark is None else marked(mark, STATE_WORDS[state], str(state))


def outcome_mark(outcome: str) -> str:
    """How an attempt ended, as a coloured word with a shape; what is no outcome as it stands."""
    mark = OUTCOMES.get(outcome)
    return escape(outcome) if mark is None else marked(mark, AttemptOutcome(outcome).label, str(outcome))
