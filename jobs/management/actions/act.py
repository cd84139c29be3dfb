"""`manage.py jobs enqueue | retry | cancel | promote | pause | resume`: what the admin's buttons do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.defined import find_task
from jobs.errors import InvalidArguments
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.chosen import chosen_arguments, run_chosen
from jobs.management.actions.each import DONE, each_job
from jobs.management.actions.words import json_of, moment, seconds, whole
from jobs.operate.cancel import cancel
from jobs.operate.pause import pause, resume
from jobs.operate.promote import promote
from jobs.operate.retry import dead_letters, retry
from jobs.operate.tags import pause_tag, resume_tag

#: Dead letters of a queue that are retried one by one, each told of, unless --limit says how many.
MOST_RETRIED = 1_000


#: The options of `jobs enqueue` that are those of `Task.using`.
_OPTIONS = ("priority", "delay", "at", "key", "throttle", "debounce", "replace", "rerun")


def _enqueue_arguments(parser: CommandParser) -> None:
    parser.add_argument("task", metavar=_("TASK"), help=_("The task's name, for example leads.sync_to_crm."))
    parser.add_argument("--args", dest="positional", type=json_of(list), default=[], metavar="JSON", help=_("A list."))
    parser.add_argument("--kwargs", dest="named", type=json_of(dict), default={}, metavar="JSON", help=_("An object."))
    parser.add_argument("--priority", type=whole(1, 10), metavar=_("NUMBER"), help=_("1 (highest) to 10."))
    parser.add_argument("--delay", type=seconds, metavar=_("SECONDS"), help=_("Start it so much later."))
    parser.add_argument("--at", type=moment, metavar=_("TIME"), help=_("Start it then: 2027-01-31T09:00-03:00."))
    parser.add_argument("--key", metavar=_("KEY"), help=_("At most one live job of the queue has it."))
    parser.add_argument(
        "--throttle", type=seconds, metavar=_("SECONDS"), help=_("Of a key: only the first call of so many seconds.")
    )
    parser.add_argument(
        "--debounce",
        type=seconds,
        metavar=_("SECONDS"),
        help=_("Of a key: the last call, after so many seconds."),
    )
    parser.add_argument(
        "--replace", action="store_true", default=None, help=_("A job of the key that waits takes over this call.")
    )
    parser.add_argument(
        "--rerun", action="store_true", default=None, help=_("Of a key: run once more, with the last arguments.")
    )


def _enqueue(paper: Paper, options: Mapping[str, Any]) -> None:
    task = find_task(options["task"])
    chosen = {name: options[name] for name in _OPTIONS if options[name] is not None}
    try:
        handle = task.using(**chosen).enqueue(*options["positional"], **options["named"])
    except InvalidArguments as error:
        # the error speaks to who writes code; the sentence before it to who reads this
        text = _("%(task)s cannot be enqueued with these arguments: %(error)s")
        raise InvalidArguments(text % {"task": task.name, "error": error}) from error
    if paper.as_json:
        made = {"id": str(handle.id), "task": task.name, "queue": task.queue.name, "created": handle.created}
        paper.document(made)
    elif handle.created is False:
        text = _("%(task)s was not enqueued: job %(id)s of queue %(queue)s stands for it")
        paper.say(text % {"task": task.name, "queue": task.queue.name, "id": handle.id})
    else:
        text = _("enqueued %(task)s on %(queue)s: %(id)s")
        paper.say(text % {"task": task.name, "queue": task.queue.name, "id": handle.id})


def _retry(paper: Paper, options: Mapping[str, Any]) -> None:
    special = any(options[name] for name in ("tag", "group", "scope", "query", "state", "older", "pace", "dry_run"))
    if special or options["ids"] or not options["queue"]:
        run_chosen(paper, options, "retry", "retried", retry)
        return
    ids = dead_letters(options["queue"], options["task"] or "", options["limit"] or MOST_RETRIED)
    each_job(paper, ids, retry, "retried")


def _cancel(paper: Paper, options: Mapping[str, Any]) -> None:
    run_chosen(paper, options, "cancel", "cancelled", cancel)


def _promote(paper: Paper, options: Mapping[str, Any]) -> None:
    run_chosen(paper, options, "promote", "promoted", promote)


def _pause_arguments(parser: CommandParser) -> None:
    parser.add_argument("queue", metavar=_("QUEUE"), help=_("The queue's name."))
    parser.add_argument("--tag", metavar=_("TAG"), help=_("Only its jobs that carry this tag."))


def _pause(paper: Paper, options: Mapping[str, Any]) -> None:
    if (tag := options["tag"]) is not None:
        pause_tag(options["queue"], tag)
    else:
        pause(options["queue"])
    _say_queue(paper, options["queue"], tag, "paused")


def _resume(paper: Paper, options: Mapping[str, Any]) -> None:
    if (tag := options["tag"]) is not None:
        resume_tag(options["queue"], tag)
    else:
        resume(options["queue"])
    _say_queue(paper, options["queue"], tag, "resumed")


def _say_queue(paper: Paper, queue: str, tag: str | None, word: str) -> None:
    if paper.as_json:
        paper.document({"queue": queue, **({} if tag is None else {"tag": tag}), "done": word})
    else:
        paper.say(f"{queue if tag is None else f'{queue}, {tag}'}: {DONE[word]}")


ENQUEUE = Action("enqueue", gettext_noop("Enqueue a task by its name."), _enqueue_arguments, _enqueue)
RETRY = Action("retry", gettext_noop("Retry dead letters: by id, or the oldest of a queue."), chosen_arguments, _retry)
CANCEL = Action("cancel", gettext_noop("Cancel jobs."), chosen_arguments, _cancel)
PROMOTE = Action("promote", gettext_noop("Make scheduled or retrying jobs due now."), chosen_arguments, _promote)
PAUSE = Action(
    "pause", gettext_noop("Start nothing of a queue any more, or nothing with a tag."), _pause_arguments, _pause
)
RESUME = Action("resume", gettext_noop("End a pause."), _pause_arguments, _resume)
