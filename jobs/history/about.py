"""The jobs about an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from ..conf import jobs_settings
from ..define.reference import object_reference

if TYPE_CHECKING:
    from ..models import Job


def jobs_about(about: models.Model | tuple[str, str]) -> models.QuerySet[Job]:
    """The jobs that were enqueued with `about=` this object, newest first.

    `about` is a saved model instance or (model label, primary key); raises `InvalidOption`.
    """
    from ..models import Job

    about_type, about_id = object_reference(about)
    rows = Job.objects.using(jobs_settings().database)
    # the exclusion says to SQLite, which cannot conclude it, that the partial index holds every such row
    return rows.filter(about_type=about_type, about_id=about_id).exclude(about_type="").order_by("-id")
