from collections.abc import Callable
from typing import Any

SIGNAL_CANCELED: str
SIGNAL_COMPLETE: str
SIGNAL_ERROR: str
SIGNAL_EXECUTING: str
SIGNAL_EXPIRED: str
SIGNAL_RETRYING: str
SIGNAL_INTERRUPTED: str
SIGNAL_ENQUEUED: str

class Signal:
    receivers: dict[str, list[Callable[..., Any]]]
