"""What would go with a row, counted and not collected: Django's own page loads and lists every row that cascades."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import CASCADE, Model, QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from .counts import capped_count

#: More rows of one kind than this are not deleted by a click.
MOST = 1_000

#: What `ModelAdmin.get_deleted_objects` returns: names, numbers by kind, kinds that may not be deleted, hindrances.
Deleted = tuple[list[Any], dict[str, Any], set[str], list[str]]


def what_goes(chosen: Iterable[Model], request: HttpRequest, site: AdminSite) -> Deleted:
    """What deleting these rows would take along. More than `MOST` rows of a kind are a hindrance.

    A kind's admin may say more: with `goes_along = True` its rows need no permission where they go with another row;
    `hindrance_to_deletion(rows)` answers why some of them may not go, or nothing.
    """
    rows = list(chosen)
    if not rows:
        return [], {}, set(), []
    model = type(rows[0])
    first = model._base_manager.using(rows[0]._state.db).filter(pk__in=[row.pk for row in rows])
    names = [f"{capfirst(str(model._meta.verbose_name))}: {row}" for row in rows]
    numbers: dict[str, Any] = {}
    forbidden: set[str] = set()
    hindrances: list[str] = []
    for kind, number, more, going in _cascade(first):
        words = str(kind._meta.verbose_name_plural)
        numbers[words] = max(number, numbers.get(words, 0))
        registered: Any = site._registry.get(kind)
        along = kind is not model and getattr(registered, "goes_along", False)
        # where there are too many to go, nobody needs to know of each one whether it may
        if registered is not None and not along and not _may_go(registered, request, going.none() if more else going):
            forbidden.add(str(kind._meta.verbose_name))
        reason = registered.hindrance_to_deletion(going) if hasattr(registered, "hindrance_to_deletion") else ""
        if reason and reason not in hindrances:
            hindrances.append(reason)
        if more:
            hindrances.append(_("more than %(count)s %(kind)s") % {"count": f"{MOST:,}", "kind": words})
    return names, numbers, forbidden, hindrances


def _may_go(registered: Any, request: HttpRequest, rows: QuerySet[Any]) -> bool:
    """Whether each of the rows may be deleted; a permission may hold for some only."""
    may: bool = registered.has_delete_permission(request)
    return may and all(registered.has_delete_permission(request, row) for row in rows[:MOST])


def _cascade(rows: QuerySet[Any]) -> Iterator[tuple[type[Model], int, bool, QuerySet[Any]]]:
    """Each kind of row that goes, with its number, whether there are more, and the rows."""
    count = capped_count(rows, MOST)
    if not count.number:
        return
    yield rows.model, count.number, count.more, rows
    if count.more:
        return
    for relation in rows.model._meta.related_objects:
        if relation.one_to_many or relation.one_to_one:
            if relation.on_delete is not CASCADE:
                continue
            children = relation.related_model._base_manager.using(rows.db)
            yield from _cascade(children.filter(**{f"{relation.field.name}__in": rows.values("pk")}))
