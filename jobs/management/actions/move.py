"""`manage.py jobs move`: jobs leave a Redis."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import whole
from jobs.operate import move as moving

#: Seconds that the command waits at most for what runs.
MOST = 86_400


def _arguments(parser: CommandParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--from",
        dest="url",
        metavar=_("URL"),
        help=_(
            "The address of the Redis that is left; - reads it from standard input, so that no list of processes shows "
            "its password."
        ),
    )
    what.add_argument(
        "--reuse", action="store_true", help=_("Use the Redis of REDIS_URL again, from which the jobs were moved.")
    )
    what.add_argument(
        "--gone",
        action="store_true",
        help=_("That Redis is gone for good: the database runs what has a row. A job may run twice."),
    )
    parser.add_argument(
        "--wait",
        type=whole(0, MOST),
        default=60,
        metavar=_("SECONDS"),
        help=_("How long to wait for jobs that run there (default: %(default)s)."),
    )


def _move(paper: Paper, options: Mapping[str, Any]) -> None:
    if options["reuse"]:
        _say(paper, moving.reuse(), _("in use again"))
    elif options["gone"]:
        _say(paper, moving.give_up(), _("run from the database now"))
    else:
        _from(paper, _address(options["url"]), options["wait"])


def _address(given: str) -> str:
    if given != "-":
        return given
    if address := sys.stdin.readline().strip():
        return address
    text = _("--from -: nothing came on standard input; write the address of the Redis there")
    raise CommandError(text, returncode=1)


def _from(paper: Paper, url: str, wait: float) -> None:
    try:
        moved = moving.move(url, wait)
    except ImproperlyConfigured as error:
        raise CommandError(str(error), returncode=1) from error
    if paper.as_json:
        paper.document([asdict(one) for one in moved])
        return
    heads = (_("queue"), _("jobs moved"), _("had ended"), _("facts heard"))
    paper.table(heads, [(one.queue, str(one.jobs), str(one.ended), str(one.facts)) for one in moved])
    count = sum(one.jobs for one in moved)
    text = ngettext("%(count)d job moved.", "%(count)d jobs moved.", count)
    paper.say(f"{text % {'count': count}} {_('Now restart what still uses that Redis.')}")


def _say(paper: Paper, count: int, done: str) -> None:
    if paper.as_json:
        paper.document({"queues": count})
    else:
        paper.say(f"{ngettext('%(count)d queue', '%(count)d queues', count) % {'count': count}}: {done}")


MOVE = Action("move", gettext_noop("Move jobs from a Redis that is left to the present broker."), _arguments, _move)
