"""A new password for somebody who can read the mail of the account."""

from __future__ import annotations

from uuid import uuid4

from django.db import transaction

from .. import limits
from ..events import PasswordResetRequested, password_reset_requested
from ..models import User


def request_password_reset(email: str, *, network: str = "") -> None:
    """Have a link mailed, if somebody with this address may sign in; nothing tells whether there is, not even the time.

    `network` is where the wish comes from (`limits.network_of`). Over the limits of `settings.FORM_LIMITS`
    ("reset_address", "reset_network") nothing happens either.
    """
    user_id = User.objects.filter(email=email, is_active=True).values_list("pk", flat=True).first()
    with transaction.atomic():
        if network and limits.take("reset_network", network):
            return
        if limits.take("reset_address", email.strip().lower()):
            return
        # for nobody as for somebody: what follows of it, a job finds out
        password_reset_requested.announce(PasswordResetRequested(user_id=user_id or uuid4()))
