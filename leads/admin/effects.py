"""Admin pages of rows that state an effect: mails, deliveries, messages."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.http import HttpRequest

from accounts.admin.scope import ReadOnlyScopedAdmin

from .marks import EFFECT


class EffectAdmin(ReadOnlyScopedAdmin):
    """Rows that state an effect; their error is in the reader's language."""

    readonly_fields = ("shown_error",)
    marks = {"state": EFFECT}

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """The fields, with the error as it is shown."""
        stored = [name for name in super().get_fields(request, obj) if name != "shown_error"]
        return ["shown_error" if name == "error" else name for name in stored]
