"""Whose a job is, as the engine asks it for each call (`JOBS["SCOPE"]`): an organization's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def organization_of(arguments: Mapping[str, Any]) -> Any:
    """The organization that a call names; None: it is that of the job which enqueues it, if any."""
    return arguments.get("organization_id")
