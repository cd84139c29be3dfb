"""What `check --deploy` says of mail."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Warning
from django.utils.translation import gettext as _

from . import transport


def check_way_out(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Mail that is only written down reaches nobody."""
    if transport.way_out().name:
        return []
    text = _("No mail leaves this site: each mail is only recorded.")
    return [Warning(text, hint=_("Set EMAIL_URL to a mail server or a mail service."), id="emails.W001")]
