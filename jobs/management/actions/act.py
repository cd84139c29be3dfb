"""`manage.py jobs enqueue | retry | cancel | promote | pause | resume`: what the admin's buttons do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext_lazy

from jobs.defined import find_task
from jobs.errors import InvalidArguments, JobsError
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.look import MOST_LISTED
from jobs.management.actions.words import json_of, moment, seconds, uuid, whole
from jobs.operate.cancel import cancel
from jobs.operate.pause import pause, resume
from jobs.operate.promote import promote
from jobs.operate.retry import dead_letters, retry

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


def _enqueue_arguments(parser: CommandParser) -> None:
    parser.add_argument("task", metavar=_("TASK"), help=_("The task's name, for example leads.sync_to_crm."))
    parser.add_argument("--args", dest="positional", type=json_of(list), default=[], metavar="JSON", help=_("A list."))
    parser.add_argument("--kwargs", dest="named", type=json_of(dict), default={}, metavar="JSON", help=_("An object."))
    parser.add_argument("--priority", type=whole(1, 10), metavar=_("NUMBER"), help=_("1 (highest) to 10."))
    parser.add_argument("--delay", type=seconds, metavar=_("SECONDS"), help=_("Start it so much later."))
    parser.add_argument("--at", type=moment, metavar=_("TIME"), help=_("Start it then: 2027-01-31T09:00-03:00."))


def _enqueue(paper: Paper, options: Mapping[str, Any]) -> None:
    task = find_task(options["task"])
    chosen = {name: options[name] for name in ("priority", "delay", "at") if options[name] is not None}
    try:
        handle = task.using(**chosen).enqueue(*options["positional"], **options["named"])
    except InvalidArguments as error:
        # the error speaks to who writes code; the sentence before it to who reads this
        text = _("%(task)s cannot be enqueued with these arguments: %(error)s")
        raise InvalidArguments(text % {"task": task.name, "error": error}) from error
    if paper.as_json:
        paper.document({"id": str(handle.id), "task": task.name, "queue": task.queue.name})
    else:
        text = _("enqueued %(task)s on %(queue)s: %(id)s")
        paper.say(text % {"task": task.name, "queue": task.queue.name, "id": handle.id})


def _retry_arguments(parser: CommandParser) -> None:
    parser.add_argument("ids", type=uuid, nargs="*", metavar="ID", help=_("The dead letters' ids."))
    parser.add_argument("--queue", metavar=_("QUEUE"), help=_("Retry this queue's dead letters."))
    parser.add_argument("--task", metavar=_("TASK"), help=_("With --queue: only this task's."))
    parser.add_argument(
        "--limit",
        type=whole(1, MOST_LISTED),
        metavar=_("NUMBER"),
        default=1_000,
        help=_("With --queue: at most so many."),
    )


def _retry(paper: Paper, options: Mapping[str, Any]) -> None:
    ids, queue = options["ids"], options["queue"]
    if bool(ids) == bool(queue):
        raise CommandError(_("give either ids or --queue QUEUE"), returncode=2)
    if queue:
        ids = dead_letters(queue, options["task"] or "", options["limit"])
    elif options["task"]:
        raise CommandError(_("--task goes with --queue QUEUE"), returncode=2)
    each_job(paper, ids, retry, "retried")


def ids_arguments(parser: CommandParser) -> None:
    """The jobs that are meant."""
    parser.add_argument("ids", type=uuid, nargs="+", metavar="ID", help=_("The jobs' ids."))


def _cancel(paper: Paper, options: Mapping[str, Any]) -> None:
    each_job(paper, options["ids"], cancel, "cancelled")


def _promote(paper: Paper, options: Mapping[str, Any]) -> None:
    each_job(paper, options["ids"], promote, "promoted")


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


def _queue_arguments(parser: CommandParser) -> None:
    parser.add_argument("queue", metavar=_("QUEUE"), help=_("The queue's name."))


def _pause(paper: Paper, options: Mapping[str, Any]) -> None:
    pause(options["queue"])
    _say_queue(paper, options["queue"], "paused")


def _resume(paper: Paper, options: Mapping[str, Any]) -> None:
    resume(options["queue"])
    _say_queue(paper, options["queue"], "resumed")


def _say_queue(paper: Paper, queue: str, word: str) -> None:
    if paper.as_json:
        paper.document({"queue": queue, "done": word})
    else:
        paper.say(f"{queue}: {DONE[word]}")


ENQUEUE = Action("enqueue", gettext_noop("Enqueue a task by its name."), _enqueue_arguments, _enqueue)
RETRY = Action("retry", gettext_noop("Retry dead letters: by id, or the oldest of a queue."), _retry_arguments, _retry)
CANCEL = Action("cancel", gettext_noop("Cancel jobs."), ids_arguments, _cancel)
PROMOTE = Action("promote", gettext_noop("Make scheduled or retrying jobs due now."), ids_arguments, _promote)
PAUSE = Action("pause", gettext_noop("Start nothing of a queue any more."), _queue_arguments, _pause)
RESUME = Action("resume", gettext_noop("End a pause."), _queue_arguments, _resume)
