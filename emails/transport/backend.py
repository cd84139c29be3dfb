"""The mail backend that the settings name, in Django's own terms."""

from __future__ import annotations

from typing import Any

import django
from django.core import mail


def configured_backend() -> Any:
    """A new backend; nothing is opened yet."""
    if django.VERSION >= (6, 1):
        return mail.mailers.default
    return mail.get_connection()
