"""What `manage.py demo_data` makes beside organizations and people: each app registers its own part."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accounts.models import Organization

#: Makes rows for the organizations, by their short names.
DemoPart = Callable[[Mapping[str, Organization]], None]
parts: list[DemoPart] = []


def register_demo(part: DemoPart) -> None:
    """Add a part; called when the app is ready."""
    if part not in parts:
        parts.append(part)
