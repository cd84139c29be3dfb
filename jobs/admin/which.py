"""In words, which jobs somebody means."""

from __future__ import annotations

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..models import STATE_WORDS
from ..operate.operations import Listed


def in_words(chosen: Listed) -> list[tuple[str, str]]:
    """What is asked for, by its name; nothing where all jobs are meant."""
    named = {
        _("state"): STATE_WORDS.get(chosen.state, chosen.state),
        _("queue"): chosen.queue,
        _("task"): chosen.task,
        _("event"): chosen.event_id,
        _("enqueued by job"): chosen.parent_id,
        _("about"): chosen.about,
        _("cause"): chosen.cause,
        _("query"): chosen.query,
        _("created since"): chosen.since[:16].replace("T", " "),
        _("found or ticked one by one"): "" if chosen.ids is None else len(chosen.ids),
    }
    return [(capfirst(str(name)), str(value)) for name, value in named.items() if value != ""]
