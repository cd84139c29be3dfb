"""Counts that stop early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.paginator import Paginator
from django.db.models import IntegerField, Model, QuerySet, Subquery
from django.utils.functional import cached_property

#: Counts stop here and say "10,000+".
CAP = 10_000

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Capped:
    """A count that may have stopped at the cap."""

    number: int
    more: bool = False

    def __str__(self) -> str:
        return f"{self.number:,}{'+' if self.more else ''}"


def capped_count(rows: QuerySet[Row], cap: int = CAP) -> Capped:
    """How many rows there are, counting no further than `cap`."""
    # the key alone: a column that is counted itself would be counted for every row
    number = rows.order_by().values("pk")[: cap + 1].count()
    return Capped(cap, more=True) if number > cap else Capped(number)


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages by number, as far as the cap: for short lists like an object's history."""

    @cached_property
    def count(self) -> int:
        """How many rows are paged through."""
        rows: Any = self.object_list
        return capped_count(rows).number if isinstance(rows, QuerySet) else len(rows)


class SubqueryCount(Subquery):
    """The number of a subquery's rows, as a column; give the subquery a limit."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()
