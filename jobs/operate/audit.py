"""The lines that the admin's log keeps of what people do to jobs and queues."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Model


def note_each(by: AbstractBaseUser | None, rows: Sequence[Model], text: str) -> None:
    """Write the same of each of these rows."""
    if by is None or not rows:
        return
    from django.contrib.admin.models import CHANGE, LogEntry

    LogEntry.objects.log_actions(by.pk, rows, CHANGE, text)


def note(by: AbstractBaseUser | None, row: Model, text: str) -> None:
    """Write that somebody did something to the row; nothing where nobody is named."""
    if by is None:
        return
    # not at the top: the admin is an app that a project may leave out
    from django.contrib.admin.models import CHANGE, LogEntry

    LogEntry.objects.log_actions(by.pk, [row], CHANGE, text, single_object=True)


def note_all(by: AbstractBaseUser | None, kind: type[Model], text: str) -> None:
    """Write that somebody did something with many rows of this kind."""
    if by is None:
        return
    from django.contrib.admin.models import CHANGE, LogEntry
    from django.contrib.contenttypes.models import ContentType

    LogEntry.objects.create(
        user_id=by.pk,
        content_type=ContentType.objects.get_for_model(kind),
        object_repr=str(kind._meta.verbose_name_plural),
        action_flag=CHANGE,
        change_message=text,
    )
