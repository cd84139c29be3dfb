"""Iterating with a cursor that is kept: what `job.iterate(...)` returns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

from django.db import connections
from django.db.models import Model, QuerySet

from .. import clock, reasons
from ..connections import opened_by_caller
from ..errors import InvalidOption, Stopped

T = TypeVar("T")
#: Rows of one query.
CHUNK = 500


class Owner(Protocol):
    """The running job, as an iteration knows it."""

    def check_cancelled(self) -> None:
        """Raise `Cancelled` when that was asked."""

    @property
    def stop_requested(self) -> bool:
        """Whether the worker is about to stop."""

    def leave(self, stopped: Stopped) -> None:
        """Note that the task is about to be left."""


class Items(Generic[T]):
    """The items that are left, one by one; the cursor behind the last finished one is kept.

    An item counts as finished when the next one is asked for outside every transaction. Then the cursor is kept at
    most every `every` seconds, when the worker stops, when the slice is over, and when the task fails: the next start
    goes on there. After a kill the items since the last kept cursor come once more: `save()` says it at once.
    """

    def __init__(
        self,
        owner: Owner,
        name: str,
        stream: Iterator[tuple[T, Any]],
        keep: Callable[[str, bool], None],
        *,
        every: float,
        slice: float | None,
    ) -> None:
        self.name = name
        self.number = 0  # of items that this start has handed out
        self._owner = owner
        self._stream = stream
        self._keep = keep
        self._every = every
        self._slice = slice
        self._began = self._kept_at = clock.monotonic()
        self._current: list[Any] = []  # the cursor behind the item that is worked on; empty before the first
        self._safe: list[Any] = []  # the one that may be kept: what is before it is finished and committed
        self._kept: list[Any] = []

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if not in_transaction():
            self._safe = self._current
            self._look_around()
        try:
            item, cursor = next(self._stream)
        except StopIteration:
            self._keep(_text({"done": True}), False)
            self._safe = self._current = self._kept = []
            raise
        self._current = [cursor]
        self.number += 1
        return item

    def save(self) -> None:
        """Keep the cursor behind the present item now.

        Inside `atomic()` on the jobs' database it commits with the item's own changes: then these happen exactly once.
        Raises `RetryLater` when it cannot be kept.
        """
        if self._current and self._current != self._kept:
            before = self._kept, self._kept_at
            self._store(self._current)
            if in_transaction():  # which may yet roll back
                self._kept, self._kept_at = before

    def save_finished(self) -> None:
        """Keep the cursor behind the last item that surely is finished; the task has failed or goes back."""
        if self._safe and self._safe != self._kept:
            self._store(self._safe)

    def _look_around(self) -> None:
        self._owner.check_cancelled()
        now = clock.monotonic()
        if self._owner.stop_requested:
            self._stop(Stopped(reasons.GOES_ON))
        # a slice without an item would never come to an end
        if self._slice is not None and self._safe and now >= self._began + self._slice:
            self._stop(Stopped(reasons.SLICE_OVER, delay=0.0))
        if self._safe and self._safe != self._kept and now >= self._kept_at + self._every:
            self._store(self._safe)

    def _stop(self, stopped: Stopped) -> None:
        if self._safe:
            self._store(self._safe, stopped=True)
        self._owner.leave(stopped)
        raise stopped

    def _store(self, cursor: list[Any], *, stopped: bool = False) -> None:
        self._keep(_text({"cursor": cursor[0]}), stopped)
        self._kept, self._kept_at = cursor, clock.monotonic()


def name_of(source: Any) -> str:
    """What an iteration over it is called that was given no name."""
    return source.model._meta.label_lower if isinstance(source, QuerySet) else "items"


def stream_of(
    source: Iterable[T], cursor: Callable[[T], Any] | None, kept: str | None, name: str
) -> Iterator[tuple[T, Any]]:
    """Each item that is left with the cursor behind it; `kept` is what an earlier start has kept.

    Raises `InvalidOption` for what has no order to go on in.
    """
    state = {} if kept is None else json.loads(kept)
    done, last = bool(state.get("done")), state.get("cursor")
    where = f"iterate({name!r})"
    if isinstance(source, QuerySet):
        _check_queryset(source, cursor, where)
        return iter(()) if done else cast("Iterator[tuple[T, Any]]", _rows(source, last))
    if cursor is not None:
        if not callable(cursor) or not isinstance(source, Iterable):
            raise InvalidOption(f"{where}: expected several items and cursor= as a function of an item")
        return iter(()) if done else _by_key(source, cursor, last, where)
    if isinstance(source, Sequence) and not isinstance(source, (str, bytes, bytearray)):
        return iter(()) if done else ((source[index], index + 1) for index in range(last or 0, len(source)))
    raise InvalidOption(
        f"{where}: {type(source).__name__} has no places to go on at: give a queryset, a list or a range, or cursor= "
        "(a function that makes of an item a number or text larger than that of the item before)"
    )


def in_transaction() -> bool:
    """Whether this thread has a transaction open, on whichever database; that around a test is none."""
    return any(opened_by_caller(connection) for connection in connections.all(initialized_only=True))


def _check_queryset(rows: QuerySet[Any], cursor: object, where: str) -> None:
    query = rows.query
    if cursor is not None:
        raise InvalidOption(f"{where}: a queryset goes by its primary key: leave cursor= away")
    if query.is_sliced or query.combinator:
        raise InvalidOption(f"{where}: a sliced or combined queryset cannot be filtered: take the slice or union away")
    if rows._fields is not None:  # type: ignore[attr-defined]
        raise InvalidOption(f"{where}: values() makes no objects with a primary key: use only(...)")
    if len(rows.model._meta.pk_fields) != 1:
        raise InvalidOption(f"{where}: {rows.model._meta.label} has a primary key of several columns: give cursor=")
    if query.order_by and query.order_by not in (("pk",), (rows.model._meta.pk.name,)):
        raise InvalidOption(f"{where}: order_by{query.order_by!r}: rows come by primary key: leave order_by() away")


def _rows(rows: QuerySet[Model], last: str | None) -> Iterator[tuple[Model, str]]:
    """The rows by primary key, some at a time; whatever is done to a row, the next ones come behind it."""
    key = rows.model._meta.pk
    ordered = rows.order_by("pk")
    while True:
        part = ordered if last is None else ordered.filter(pk__gt=key.to_python(last))
        found = list(part[:CHUNK])
        for row in found:
            last = key.value_to_string(row)
            yield row, last
        if len(found) < CHUNK:
            return


def _by_key(source: Iterable[T], cursor: Callable[[T], Any], last: Any, where: str) -> Iterator[tuple[T, Any]]:
    before: Any = None
    for item in source:
        key = cursor(item)
        if isinstance(key, bool) or not isinstance(key, (int, float, str)) or key != key:
            raise InvalidOption(f"{where}: cursor= returned {key!r}: expected a number or a text")
        try:
            grows = before is None or key > before
            is_left = last is None or key > last
        except TypeError:
            raise InvalidOption(
                f"{where}: cursor= returned {key!r}, which cannot be compared with the others"
            ) from None
        if not grows:
            raise InvalidOption(
                f"{where}: cursor= returned {key!r} behind {before!r}: it has to grow from item to item"
            )
        before = key
        if is_left:
            yield item, key


def _text(state: dict[str, Any]) -> str:
    return json.dumps(state, ensure_ascii=False, separators=(",", ":"))
