"""Metrics of the project's own: an app registers a function, beside what the engine itself tells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from ..errors import InvalidOption

if TYPE_CHECKING:
    from prometheus_client.core import Metric

logger = logging.getLogger(__name__)

_registered: dict[str, Callable[[], Iterable[Metric]]] = {}


def register_metrics(name: str, collect: Callable[[], Iterable[Metric]]) -> None:
    """Let `/metrics` tell what `collect()` returns as well: metric families of `prometheus_client.core`.

    Call it in the app's `ready()`. `collect` is called with each scrape, so it must answer in milliseconds whatever the
    tables hold. Raises `InvalidOption` if another function has this name.
    """
    if _registered.setdefault(name, collect) is not collect:
        raise InvalidOption(f"metrics are registered as {name!r} already; give these another name")


def each_registered(text_of: Callable[[Callable[[], Iterable[Metric]]], bytes]) -> Iterator[bytes]:
    """The text of what each function tells; one that raises, or tells what is no metric, hides no other."""
    for name, collect in _registered.items():
        try:
            yield text_of(collect)
        except Exception:
            logger.exception("metrics_failed name=%s", name)
