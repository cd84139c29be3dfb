"""`manage.py jobs key QUEUE KEY`: which job stands for the calls of a key; and its release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.broker import get_broker
from jobs.define.unique import checked_key
from jobs.errors import UnknownJob
from jobs.history.targets import name_of
from jobs.management.actions.action import Action, Paper


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("queue", metavar=_("QUEUE"), help=_("The queue's name."))
    parser.add_argument("key", metavar=_("KEY"), help=_("The key, as it was enqueued."))
    parser.add_argument("--release", action="store_true", help=_("Let the key be free; the job goes on."))


def _key(paper: Paper, options: Mapping[str, Any]) -> None:
    queue, key = name_of(options["queue"]), checked_key(options["key"])
    broker = get_broker()
    holder = broker.holder(queue, key)
    if holder is None:
        raise UnknownJob(_("no job of queue %(queue)s has this key") % {"queue": queue})
    released = options["release"] and broker.release_key(queue, key, holder)
    if paper.as_json:
        paper.document({"queue": queue, "id": str(holder), "released": released})
    elif released:
        paper.say(_("%(id)s had the key; it is free now") % {"id": holder})
    elif options["release"]:
        paper.say(_("%(id)s had the key, and gave it away meanwhile") % {"id": holder})
    else:
        paper.say(_("%(id)s has the key") % {"id": holder})


KEY = Action("key", gettext_noop("Find the job that has a key, and release the key."), _arguments, _key)
