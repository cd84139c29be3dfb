"""Findings of the project's own: an app registers a function that looks, beside what the engine itself looks for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from django.utils.translation import gettext as _

from ...errors import InvalidOption
from .finding import Finding

logger = logging.getLogger(__name__)

FindingsFunction = Callable[[], Iterable[Finding]]
_registered: dict[str, FindingsFunction] = {}


def register_findings(name: str, find: FindingsFunction) -> None:
    """Let `jobs status` and the admin's overview show what `find()` returns.

    Call it in the app's `ready()`. `find` is called with each look, so it must answer in milliseconds whatever the
    tables hold; its texts are in the reader's language if they are translated there. Raises `InvalidOption` if another
    function has this name.
    """
    if _registered.setdefault(name, find) is not find:
        raise InvalidOption(f"findings are registered as {name!r} already; give these another name")


def registered_findings() -> list[Finding]:
    """What all registered functions find; one that raises is a finding itself, and hides no other."""
    found: list[Finding] = []
    for name, find in _registered.items():
        try:
            found.extend(find())
        except Exception as error:
            logger.exception("findings_failed name=%s", name)
            text = _("%(name)s: its findings cannot be told (%(error)s): see the log for findings_failed.")
            found.append(Finding("findings_failed", "", text % {"name": name, "error": type(error).__name__}))
    return found
