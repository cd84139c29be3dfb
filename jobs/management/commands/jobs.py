"""`manage.py jobs`: look at jobs and queues, and do what the admin's buttons do.

Ends with 0 when done, 1 when something is not found or refused (or `status --check` found trouble), 2 on wrong usage.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error as DatabaseFailure
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.command_line import TranslatedCommand, TranslatedHelp
from jobs.errors import JobsError
from jobs.management.actions import ACTIONS
from jobs.management.actions.action import Paper


class Command(TranslatedCommand):
    """Each sub-command stands in `jobs.management.actions`."""

    help = gettext_noop(
        "Look at jobs and queues; enqueue, retry, cancel and promote jobs, pause, drain and clean queues."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """One sub-command for each thing to do."""
        subparsers = parser.add_subparsers(dest="action", required=True, metavar=_("ACTION"))
        for action in ACTIONS:
            help = _(action.help)
            one = subparsers.add_parser(action.name, help=help, description=help, formatter_class=TranslatedHelp)
            one.add_argument("--json", action="store_true", dest="as_json", help=_("Print one JSON document."))
            action.add_arguments(one)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the sub-command; what it refuses is one sentence and exit code 1."""
        action = next(action for action in ACTIONS if action.name == options["action"])
        paper = Paper(self.stdout, options["as_json"])
        try:
            action.run(paper, options)
            self.stdout.flush()
        except JobsError as error:
            if paper.as_json:
                paper.document({"error": str(error)})
            raise CommandError(str(error), returncode=1) from error
        except CommandError as error:
            if paper.as_json and error.returncode == 2:
                paper.document({"error": str(error)})
            raise
        except DatabaseFailure as error:
            text = _("the jobs' database did not answer (%(error)s); if it is new, run `manage.py migrate`")
            text %= {"error": error}
            if paper.as_json:
                paper.document({"error": text})
            raise CommandError(text, returncode=1) from error
