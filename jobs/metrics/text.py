"""The text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE_LATEST
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from .families import families
from .registered import registered_families


class _Recorded(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from families()
        yield from registered_families()

    def describe(self) -> list[Metric]:
        return []


def metrics_text() -> bytes:
    """Everything that is told, as it is now. Raises the database's errors."""
    registry = CollectorRegistry()
    registry.register(_Recorded())
    return generate_latest(registry)
