"""The text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE_LATEST
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from .families import families
from .registered import each_registered


class _Told(Collector):
    def __init__(self, tell: Callable[[], Iterable[Metric]]) -> None:
        self._tell = tell

    def collect(self) -> Iterable[Metric]:
        return self._tell()


def metrics_text() -> bytes:
    """Everything that is told, as it is now. Raises the database's errors."""
    return b"".join([_text_of(families), *each_registered(_text_of)])


def _text_of(collect: Callable[[], Iterable[Metric]]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Told(collect))
    return generate_latest(registry)
