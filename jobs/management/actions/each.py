"""One verb for several jobs, and the words for what was done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from jobs.errors import JobsError
from jobs.management.actions.action import Paper

#: What the text output says of what was done; the JSON has the keys.
DONE = {
    "retried": pgettext_lazy("done", "retried"),
    "cancelled": pgettext_lazy("done", "cancelled"),
    "asked to cancel": pgettext_lazy("done", "asked to cancel"),
    "promoted": pgettext_lazy("done", "promoted"),
    "rescheduled": pgettext_lazy("done", "rescheduled"),
    "given another priority": pgettext_lazy("done", "given another priority"),
    "edited": pgettext_lazy("done", "edited"),
    "discarded": pgettext_lazy("done", "discarded"),
    "removed": pgettext_lazy("done", "removed"),
    "paused": pgettext_lazy("done", "paused"),
    "resumed": pgettext_lazy("done", "resumed"),
}
#: What was done instead, by what the verb answers.
_ANSWERS = {"asked": "asked to cancel", "removed": "removed"}


def each_job(paper: Paper, ids: Sequence[UUID], act: Callable[[UUID], object], word: str) -> None:
    """Do it to each job; one that is refused does not stop the others."""
    lines: list[dict[str, str]] = []
    for job_id in ids:
        try:
            answer = act(job_id)
            lines.append({"id": str(job_id), "done": _ANSWERS.get(str(answer), word)})
        except JobsError as error:
            lines.append({"id": str(job_id), "refused": str(error)})
    refused = [line["refused"] for line in lines if "refused" in line]
    if paper.as_json:
        paper.document(lines)
    else:
        for line in lines:
            if "done" in line:
                paper.say(f"{line['id']} {DONE[line['done']]}")
        if not lines:
            paper.say(_("nothing to do"))
    if refused:
        raise CommandError("\n".join(refused), returncode=1)
