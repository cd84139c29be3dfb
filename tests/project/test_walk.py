"""The way of one job, as docs/architecture.md tells it, is the way that it takes."""

from __future__ import annotations

import functools
import inspect
import os
import pkgutil
import re
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from django.db import transaction

from jobs import JobHandle, Queue, clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.work.pool import Pool

DOCS = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
STEP = re.compile(r"^\d+\. `(jobs\.[\w.]+)`", re.MULTILINE)


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_job_goes_the_way_that_the_docs_tell():
    told = STEP.findall(DOCS.read_text(encoding="utf-8"))
    queue = Queue("walk")

    @queue.task(name="walk.note")
    def note(text: str) -> str:
        return text

    codes = {_code(name): name for name in dict.fromkeys(told)}
    called: list[str] = []

    def watch(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call" and (name := codes.get(frame.f_code)):
            called.append(name)

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        with transaction.atomic():
            handle = note.enqueue("a")
        _work(queue, handle)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert handle.state == "completed"
    assert len(told) == 10, "ten lines"
    # a station may be passed again (an exchange settles and claims): the walk is to be found in this order
    left = iter(called)
    assert [name for name in told if name in left] == told, f"what was called: {called}"


def _work(queue: Queue, handle: JobHandle) -> None:
    broker = get_broker()
    record = ProcessRecord(clock.new_id(), "worker", queue.name, "here", os.getpid(), 1)
    broker.register(record, 60)
    pool = Pool(queue, broker, record.id)
    thread = threading.Thread(target=pool.work)
    thread.start()
    assert handle.result(timeout=20) == "a"
    pool.close()
    thread.join(60)
    assert not thread.is_alive()
    broker.release(record, lost=False)


def _code(name: str) -> CodeType:
    function = inspect.unwrap(pkgutil.resolve_name(name))
    if isinstance(function, functools.partial):
        function = function.func
    return function.__code__
