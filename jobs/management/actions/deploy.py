"""`manage.py jobs deploy [LABEL] [--list]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.broker import get_broker
from jobs.history.deploys import deploys_since
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import moment
from jobs.operate.deploys import KEPT, mark_deploy


def _arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "label", nargs="?", default="", metavar=_("LABEL"), help=_("What was deployed, for example v1.2.3.")
    )
    parser.add_argument("--at", type=moment, metavar=_("TIME"), help=_("When: 2027-01-31T09:00-03:00; default: now."))
    parser.add_argument("--list", action="store_true", help=_("Mark nothing: list the deploys that are known."))


def _run(paper: Paper, options: Mapping[str, Any]) -> None:
    if options["list"]:
        found = deploys_since(get_broker().now() - KEPT)
        if paper.as_json:
            paper.document([asdict(one) for one in found])
            return
        lines = [(f"{one.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", one.label) for one in reversed(found)]
        paper.table((_("time (UTC)"), _("deployed")), lines)
        return
    mark = mark_deploy(options["label"], at=options["at"])
    if paper.as_json:
        paper.document(asdict(mark))
    else:
        text = _("marked on the charts: %(label)s at %(at)s UTC")
        paper.say(text % {"label": mark.label, "at": f"{mark.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"})


DEPLOY = Action("deploy", gettext_noop("Mark on the charts that something was deployed."), _arguments, _run)
