"""`manage.py events`: which event starts which tasks, through which receiver, on which queue."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.command_line import TranslatedCommand
from jobs.define.events import EventRow, event_map


class Command(TranslatedCommand):
    """Prints the map event -> receiver -> task -> queue."""

    help = gettext_noop("Print which event starts which tasks: event -> receiver -> task -> queue.")

    def add_arguments(self, parser: CommandParser) -> None:
        """Only the format."""
        parser.add_argument("--json", action="store_true", dest="as_json", help=_("Print one JSON document."))

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the map."""
        rows = event_map()
        if options["as_json"]:
            self.stdout.write(json.dumps([_document(row) for row in rows], indent=2))
            return
        if not rows:
            self.stdout.write(_("no event is defined"))
        last = ""
        for row in rows:
            if row.event.__name__ != last:
                last = row.event.__name__
                self.stdout.write(last)
            if row.receiver is None:
                self.stdout.write("  " + _("nobody listens"))
                continue
            self.stdout.write(f"  -> {_name(row)}")
            for task in row.starts:
                self.stdout.write(f"       -> {task.name} ({task.queue.name})")
            if not row.starts:
                self.stdout.write("       " + _("starts nothing"))


def _document(row: EventRow) -> dict[str, Any]:
    return {
        "event": row.event.__name__,
        "receiver": _name(row) if row.receiver else None,
        "starts": [{"task": task.name, "queue": task.queue.name} for task in row.starts],
    }


def _name(row: EventRow) -> str:
    return f"{getattr(row.receiver, '__module__', '')}.{getattr(row.receiver, '__qualname__', '')}"
