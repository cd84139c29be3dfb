"""A column that holds another one as searches compare it; made in Python: a database folds what its locale knows."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.db import models


def folded(text: str) -> str:
    """The text without the difference of capital and small letters, in any script and on any database."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


class FoldedField(models.CharField):  # type: ignore[type-arg]
    """`folded` of the field `of`, cut to the column's length; written whenever the row is saved or bulk-created.

    With `save(update_fields=...)` it must be named beside its source, and `QuerySet.update` does not write it.
    """

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        self.of = of
        kwargs["editable"] = False
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[Any, ...]:
        """With the field that it follows."""
        name, path, args, kwargs = super().deconstruct()
        del kwargs["editable"]
        return name, path, args, {**kwargs, "of": self.of}

    def searched(self, text: str) -> str:
        """How the column holds a text that somebody looks for."""
        return folded(text)[: self.max_length]

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Follow the source."""
        value = self.searched(getattr(model_instance, self.of))
        setattr(model_instance, self.attname, value)
        return value
