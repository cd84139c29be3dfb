"""`manage.py jobs`: look at jobs and queues, and do what the admin's buttons do.

Ends with 0 when done, 1 when something is not found or refused (or `status --check` found trouble), 2 on wrong usage.
"""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseFailure
from django.utils.translation import gettext as _
from django.utils.translation import pgettext, pgettext_lazy

from jobs import lookup, operations, verdict
from jobs.errors import JobsError
from jobs.models import Attempt, AttemptOutcome, Job
from jobs.queue import find_task
from jobs.states import State

MOST_LISTED = 10_000
#: Characters of a wrong argument that its error repeats.
MOST_QUOTED = 200
#: What the text output says of what was done; the JSON has the keys.
DONE = {
    "retried": pgettext_lazy("done", "retried"),
    "cancelled": pgettext_lazy("done", "cancelled"),
    "asked to cancel": pgettext_lazy("done", "asked to cancel"),
    "promoted": pgettext_lazy("done", "promoted"),
    "paused": pgettext_lazy("done", "paused"),
    "resumed": pgettext_lazy("done", "resumed"),
}


class Command(BaseCommand):
    """Looks at jobs and queues, retries, cancels, promotes, pauses."""

    help = "Look at jobs and queues, and retry, cancel, promote, pause or resume them."

    def add_arguments(self, parser: CommandParser) -> None:
        """One sub-command for each thing to do."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        def add(name: str, text: str) -> Any:
            one = actions.add_parser(name, help=text, description=text)
            one.add_argument("--json", action="store_true", dest="as_json", help="Print one JSON document.")
            return one

        status = add("status", "Say how the queues are.")
        status.add_argument("--check", action="store_true", help="End with 1 when something needs a person.")
        status.add_argument(
            "--oldest",
            type=_positive,
            default=verdict.OLDEST_WAITING,
            metavar="SECONDS",
            help="How long a due job may wait (default: %(default)g).",
        )
        listing = add("list", "List jobs, newest first.")
        listing.add_argument("--queue")
        listing.add_argument("--state", choices=lookup.STATES)
        listing.add_argument("--task")
        listing.add_argument("--limit", type=_whole(1, MOST_LISTED), default=20)
        show = add("show", "Show one job with its attempts.")
        show.add_argument("id", type=_uuid)
        enqueue = add("enqueue", "Enqueue a task by its name.")
        enqueue.add_argument("task")
        enqueue.add_argument("--args", dest="positional", type=_json(list), default=[], metavar="JSON", help="A list.")
        enqueue.add_argument("--kwargs", dest="named", type=_json(dict), default={}, metavar="JSON", help="An object.")
        enqueue.add_argument("--priority", type=_whole(1, 10), help="1 (highest) to 10.")
        enqueue.add_argument("--delay", type=_positive, metavar="SECONDS")
        retry = add("retry", "Retry dead letters: by id, or the oldest of a queue.")
        retry.add_argument("ids", type=_uuid, nargs="*", metavar="ID")
        retry.add_argument("--queue", help="Retry this queue's dead letters.")
        retry.add_argument("--task", help="With --queue: only this task's.")
        retry.add_argument("--limit", type=_whole(1, MOST_LISTED), default=1_000, help="With --queue: at most so many.")
        for name, text in (("cancel", "Cancel jobs."), ("promote", "Make scheduled or retrying jobs due now.")):
            add(name, text).add_argument("ids", type=_uuid, nargs="+", metavar="ID")
        for name, text in (("pause", "Start nothing of a queue any more."), ("resume", "End a pause.")):
            add(name, text).add_argument("queue", metavar="QUEUE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the sub-command; what it refuses is one sentence and exit code 1."""
        action: Callable[[dict[str, Any]], None] = getattr(self, f"_{options['action']}")
        self._as_json = options["as_json"]
        try:
            action(options)
        except JobsError as error:
            if self._as_json:
                self._print_json({"error": str(error)})
            raise CommandError(str(error), returncode=1) from error
        except CommandError as error:
            if self._as_json and error.returncode == 2:
                self._print_json({"error": str(error)})
            raise
        except DatabaseFailure as error:
            text = _("the jobs' database did not answer (%(error)s); if it is new, run `manage.py migrate`")
            text %= {"error": error}
            if self._as_json:
                self._print_json({"error": text})
            raise CommandError(text, returncode=1) from error

    def _status(self, options: dict[str, Any]) -> None:
        seen = verdict.report(options["oldest"])
        if self._as_json:
            self._print_json(_status_document(seen))
        else:
            self._print_status(seen)
        if options["check"] and seen.needs_person:
            raise CommandError(_("something needs a person, see above"), returncode=1)

    def _list(self, options: dict[str, Any]) -> None:
        rows = lookup.all_jobs().order_by("-pk")
        if options["queue"]:
            operations.check_queue(options["queue"])
            rows = rows.filter(queue=options["queue"])
        if options["task"]:
            rows = rows.filter(task=find_task(options["task"]).name)
        if options["state"]:
            rows = lookup.in_state(rows, options["state"])
        found = list(rows.defer("message", "result")[: options["limit"]])
        if self._as_json:
            self._print_json([_line_document(job) for job in found])
            return
        lines = [
            (str(job.pk), job.queue, job.task, job.shown_state(), f"{job.created_at:%Y-%m-%d %H:%M:%S}", job.error[:60])
            for job in found
        ]
        heads = (_("id"), _("queue"), _("task"), _("state"), _("created (UTC)"), _("error"))
        self._print_table(heads, lines)

    def _show(self, options: dict[str, Any]) -> None:
        job = lookup.find_job(options["id"])
        attempts = list(Attempt.objects.using(job._state.db).filter(job_id=job.pk).order_by("pk"))
        document = _job_document(job, attempts)
        if self._as_json:
            self._print_json(document)
            return
        self.stdout.write(document.pop("verdict"))
        lines = document.pop("attempts_made")
        told = [(name, _plain(value)) for name, value in document.items() if value not in (None, "", [], {})]
        self._print_table((), told)
        for line in lines:
            number = line["number"] or "–"
            self.stdout.write("")
            text = _("run %(run)s, attempt %(number)s: %(outcome)s %(ended)s")
            outcome = AttemptOutcome(line["outcome"]).label
            values = {"run": line["run"], "number": number, "outcome": outcome, "ended": line["ended_at"]}
            self.stdout.write(text % values)
            self.stdout.write(f"  {line['worker']}  {line['error']}".rstrip())
            if line["traceback"]:
                self.stdout.write(line["traceback"].rstrip())

    def _enqueue(self, options: dict[str, Any]) -> None:
        task = find_task(options["task"])
        chosen = {name: options[name] for name in ("priority", "delay") if options[name] is not None}
        handle = task.using(**chosen).enqueue(*options["positional"], **options["named"])
        if self._as_json:
            self._print_json({"id": str(handle.id), "task": task.name, "queue": task.queue.name})
        else:
            text = _("enqueued %(task)s on %(queue)s: %(id)s")
            self.stdout.write(text % {"task": task.name, "queue": task.queue.name, "id": handle.id})

    def _retry(self, options: dict[str, Any]) -> None:
        ids, queue = options["ids"], options["queue"]
        if bool(ids) == bool(queue):
            raise CommandError(_("give either ids or --queue NAME"), returncode=2)
        if queue:
            task = find_task(options["task"]).name if options["task"] else ""
            ids = operations.dead_letters(queue, task, options["limit"])
        elif options["task"]:
            raise CommandError(_("--task goes with --queue NAME"), returncode=2)
        self._each(ids, operations.retry, "retried")

    def _cancel(self, options: dict[str, Any]) -> None:
        self._each(options["ids"], operations.cancel, "cancelled")

    def _promote(self, options: dict[str, Any]) -> None:
        self._each(options["ids"], operations.promote, "promoted")

    def _pause(self, options: dict[str, Any]) -> None:
        operations.pause(options["queue"])
        self._say_queue(options["queue"], "paused")

    def _resume(self, options: dict[str, Any]) -> None:
        operations.resume(options["queue"])
        self._say_queue(options["queue"], "resumed")

    def _each(self, ids: Sequence[UUID], act: Callable[[UUID], object], word: str) -> None:
        """Do it to each job; one that is refused does not stop the others."""
        lines: list[dict[str, str]] = []
        for job_id in ids:
            try:
                answer = act(job_id)
                lines.append({"id": str(job_id), "done": "asked to cancel" if answer == "asked" else word})
            except JobsError as error:
                lines.append({"id": str(job_id), "refused": str(error)})
        refused = [line["refused"] for line in lines if "refused" in line]
        if self._as_json:
            self._print_json(lines)
        else:
            for line in lines:
                if "done" in line:
                    self.stdout.write(f"{line['id']} {DONE[line['done']]}")
            if not lines:
                self.stdout.write(_("nothing to do"))
        if refused:
            raise CommandError("\n".join(refused), returncode=1)

    def _say_queue(self, queue: str, word: str) -> None:
        if self._as_json:
            self._print_json({"queue": queue, "done": word})
        else:
            self.stdout.write(f"{queue} {DONE[word]}")

    def _print_status(self, seen: verdict.Report) -> None:
        self.stdout.write(verdict.headline(seen.findings))
        for finding in seen.findings[1:]:
            self.stdout.write(finding.text)
        lines = [
            (
                row.name,
                _("paused") if row.counts.paused else "",
                verdict.duration(row.oldest_wait),
                str(lookup.capped(row.counts.waiting)),
                str(lookup.capped(row.counts.scheduled)),
                str(row.counts.active),
                *(str(row.states[state]) for state in (State.PENDING, State.FAILED, State.COMPLETED)),
                str(row.workers),
            )
            for row in seen.queues
        ]
        self.stdout.write("")
        heads = (
            _("queue"),
            "",
            pgettext("jobs", "oldest waiting"),
            pgettext("jobs", "due"),
            pgettext("jobs", "later"),
            pgettext("jobs", "active"),
            pgettext("jobs", "pending"),
            pgettext("jobs", "failed"),
            pgettext("jobs", "completed"),
            _("workers"),
        )
        self._print_table(heads, lines)

    def _print_table(self, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
        table = [heads, *lines] if heads else list(lines)
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))] if table else []
        for line in table:
            self.stdout.write("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())

    def _print_json(self, document: Any) -> None:
        self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=_json_value))


def _status_document(seen: verdict.Report) -> dict[str, Any]:
    return {
        "at": seen.at,
        "needs_person": seen.needs_person,
        "keepers": seen.keepers,
        "findings": [
            {"code": one.code, "queue": one.queue, "text": one.text, "needs_person": one.needs_person}
            for one in seen.findings
        ],
        "queues": [
            {
                "queue": row.name,
                "paused": row.counts.paused,
                "oldest_waiting_seconds": row.oldest_wait,
                "due": row.counts.waiting,
                "later": row.counts.scheduled,
                "workers": row.workers,
                "states": {
                    state.value: {"count": count.number, "more": count.more} for state, count in row.states.items()
                },
            }
            for row in seen.queues
        ],
    }


def _line_document(job: Job) -> dict[str, Any]:
    return {
        "id": job.pk,
        "queue": job.queue,
        "task": job.task,
        "state": job.shown_state(),
        "run": job.run,
        "attempts": job.attempts,
        "created_at": job.created_at,
        "ready_at": job.ready_at,
        "ended_at": job.ended_at,
        "error": job.error,
        "about": f"{job.about_type}:{job.about_id}" if job.about_type else "",
    }


def _job_document(job: Job, attempts: Sequence[Attempt]) -> dict[str, Any]:
    return {
        "verdict": verdict.job_verdict(job),
        **_line_document(job),
        "arguments": {one.name: one.value for one in lookup.arguments(job)},
        "result": None if job.result is None else json.loads(job.result),
        "priority": job.priority,
        "key": job.key,
        "expires_at": job.expires_at,
        "started_at": job.started_at,
        "starts": job.starts,
        "lost": job.lost,
        "reason": job.reason,
        "event": job.event,
        "event_id": job.event_id,
        "parent_id": job.parent_id,
        "attempts_made": [
            {
                "run": one.run,
                "number": one.number,
                "outcome": one.outcome,
                "worker": one.worker,
                "started_at": one.started_at,
                "ended_at": one.ended_at,
                "error": one.error,
                "traceback": one.traceback,
            }
            for one in attempts
        ],
    }


def _json_value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a job's id (a UUID)") from None


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"{text!r}: expected seconds, 0 or more")
    return value


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdigit() or not lowest <= int(text) <= highest:
            raise ArgumentTypeError(f"{text!r}: expected a whole number from {lowest} to {highest:,}")
        return int(text)

    return read


def _json(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            short = text if len(text) <= MOST_QUOTED else f"{text[:MOST_QUOTED]}..."
            raise ArgumentTypeError(f"{short!r} is no JSON: {error}") from None
        if not isinstance(value, kind):
            raise ArgumentTypeError(f"{text!r}: expected a JSON {'list' if kind is list else 'object'}")
        return value

    return read
