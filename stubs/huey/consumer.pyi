import threading
from typing import Any

from huey.api import Huey

class ConsumerStopped(Exception): ...
class WorkerRecycle(Exception): ...

class BaseProcess:
    huey: Huey
    stop_flag: threading.Event
    def initialize(self) -> None: ...
    def loop(self, now: Any = None) -> None: ...
    def shutdown(self) -> None: ...

class Worker(BaseProcess):
    def __init__(
        self,
        huey: Huey,
        stop_flag: threading.Event,
        default_delay: float,
        max_delay: float,
        backoff: float,
        max_tasks: int | None = None,
    ) -> None: ...

class Scheduler(BaseProcess):
    def __init__(self, huey: Huey, stop_flag: threading.Event, interval: float, periodic: bool) -> None: ...

class Consumer:
    worker_class: type[Worker]
    scheduler_class: type[Scheduler]
    huey: Huey
    stop_flag: threading.Event
    workers: int
    default_delay: float
    max_delay: float
    backoff: float
    worker_threads: list[tuple[Worker, threading.Thread]]
    scheduler: threading.Thread
    _health_check_interval: float

    def __init__(
        self,
        huey: Huey,
        workers: int = 1,
        periodic: bool = True,
        *,
        health_check_interval: float = 10,
        shutdown_timeout: float | None = None,
    ) -> None: ...
    def start(self) -> None: ...
    def stop(self, graceful: bool = False) -> None: ...
    def run(self) -> None: ...
    def loop(self, health_check_ts: float | None = None) -> float | None: ...
    def check_worker_health(self) -> bool: ...
    def _create_process(self, process: BaseProcess, name: str) -> threading.Thread: ...
    def _create_worker(self) -> Worker: ...
    def _create_scheduler(self) -> Scheduler: ...
    def _set_signal_handlers(self) -> None: ...
