"""`manage.py jobs doctor | obliterate`: mend what is in no state; take all of a queue away."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jobs.history.targets import name_of
from jobs.management.actions.action import Action, Paper
from jobs.operate.doctor import examine
from jobs.operate.obliterate import obliterate


def _doctor_arguments(parser: CommandParser) -> None:
    parser.add_argument("--queue", metavar=_("QUEUE"), help=_("Only this queue's jobs."))
    parser.add_argument("--mend", action="store_true", help=_("Set right what is found."))


def _doctor(paper: Paper, options: Mapping[str, Any]) -> None:
    found = examine(options["queue"] or "", mend=options["mend"])
    if paper.as_json:
        paper.document(
            [
                {"code": one.code, "queue": one.queue, "count": one.count, "mended": one.mended, "text": one.text}
                for one in found
            ]
        )
    elif not found:
        paper.say(_("Nothing is wrong."))
    else:
        for one in found:
            line = _("%(queue)s: %(count)d mended: %(text)s.") if one.mended else _("%(queue)s: %(count)d: %(text)s.")
            paper.say(line % {"queue": one.queue, "count": one.count, "text": one.text})
    if found and not options["mend"]:
        raise CommandError(_("run `manage.py jobs doctor --mend` to set this right"), returncode=1)


def _obliterate_arguments(parser: CommandParser) -> None:
    parser.add_argument("queue", metavar=_("QUEUE"), help=_("The queue's name."))
    parser.add_argument("--yes", action="store_true", help=_("Do not ask for the queue's name."))
    parser.add_argument("--force", action="store_true", help=_("Also while jobs of it run."))


def _obliterate(paper: Paper, options: Mapping[str, Any]) -> None:
    queue = name_of(options["queue"])
    if not options["yes"]:
        if paper.as_json or not sys.stdin.isatty():
            raise CommandError(_("this takes the whole queue away: say --yes where nobody can be asked"), returncode=2)
        question = _("All jobs of %(queue)s, their history and its counters will be gone. Type the queue's name: ")
        if input(question % {"queue": queue}) != queue:
            raise CommandError(_("nothing was removed"), returncode=1)
    count = obliterate(queue, force=options["force"])
    if paper.as_json:
        paper.document({"queue": queue, "removed": count})
    else:
        text = ngettext("%(count)d job removed", "%(count)d jobs removed", count)
        paper.say(f"{queue}: {text % {'count': count}}")


DOCTOR = Action(
    "doctor", gettext_noop("Find rows and keys that are in no state, and mend them."), _doctor_arguments, _doctor
)
OBLITERATE = Action(
    "obliterate", gettext_noop("Take all of a queue away: jobs, history, counters."), _obliterate_arguments, _obliterate
)
