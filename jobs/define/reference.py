"""What a caller means: a job by its handle, row or id; what a job is about, by its model's label and primary key."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from django.db import models

from ..errors import InvalidOption

#: Lengths of the columns that hold the two.
MAX_ABOUT = (100, 64)


class HasId(Protocol):
    """A JobHandle, a job's row, or `current_job()`."""

    @property
    def id(self) -> UUID:
        """The job's id."""


def id_of(job: HasId | UUID | str) -> UUID:
    """The id of the job that is meant; raises `InvalidOption`."""
    found = getattr(job, "id", job)
    if isinstance(found, str):
        try:
            return UUID(found)
        except ValueError:
            pass
    if isinstance(found, UUID):
        return found
    raise InvalidOption(f"job {job!r}: expected a JobHandle, or a job's id (a UUID or its text)")


def object_reference(about: models.Model | tuple[str, str]) -> tuple[str, str]:
    """(model label, primary key) of a saved object; raises `InvalidOption`."""
    if isinstance(about, models.Model):
        if about.pk is None:
            raise InvalidOption(f"about={about!r}: save the object first, it has no primary key yet")
        about = (about._meta.label_lower, str(about.pk))
    if not (isinstance(about, tuple) and len(about) == 2 and all(isinstance(part, str) and part for part in about)):
        raise InvalidOption(f"about={about!r}: expected a saved model instance, or (model label, primary key)")
    if any(not is_storable(part, most) for part, most in zip(about, MAX_ABOUT, strict=True)):
        raise InvalidOption(
            f"about={about!r}: expected at most {MAX_ABOUT[0]} characters of label and {MAX_ABOUT[1]} of primary key"
        )
    return about


def is_storable(text: str, most: int) -> bool:
    """Whether every database takes the text: none takes lone surrogates, PostgreSQL takes no NUL."""
    return len(text) <= most and "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)
