"""`manage.py jobs metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.management.actions.action import Action, Paper


def _arguments(parser: CommandParser) -> None:
    """None."""


def _run(paper: Paper, options: Mapping[str, Any]) -> None:
    if find_spec("prometheus_client") is None:
        raise CommandError(_("install the package `prometheus-client`"), returncode=1)
    from jobs.metrics.text import metrics_text

    text = metrics_text().decode().rstrip("\n")
    if paper.as_json:
        paper.document({"text": text})
    else:
        paper.text(text)


METRICS = Action("metrics", gettext_noop("Print what Prometheus reads from /metrics."), _arguments, _run)
