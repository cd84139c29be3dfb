"""The event loop of a worker process: its tasks that are `async def` run on it, all on the same one.

A loop of its own thread, so that clients and their connections can be shared by all such tasks, and that a thousand
that wait for others cost little. Elsewhere (tests, commands) such a task runs in the thread that asks for it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Coroutine
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

from ..define.context import job_here
from .databases import look_before
from .forks import end_if_forked

logger = logging.getLogger("jobs.worker")

_lock = threading.Lock()
_is_worker = False
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
#: The clean-up that is under way; at most one, and no job waits for it.
_closing: asyncio.Task[None] | None = None


def serve() -> None:
    """From now on this process has one loop for all; it begins with the first task that needs it."""
    global _is_worker
    _is_worker = True


def run(coroutine: Coroutine[Any, Any, Any], seconds: float) -> Any:
    """Run it to its end, `seconds` at most (infinite: for ever); returns and raises what it does.

    Behind its time it is cancelled where it waits, and `TimeoutError` is raised.
    """
    if not _is_worker:
        ended, error = async_to_sync(_run)(coroutine, seconds)
    else:
        loop, thread = _running_loop()
        if (job := job_here()) is not None:
            job.thread, job.coroutine = thread.ident or 0, coroutine
        ended, error = asyncio.run_coroutine_threadsafe(_run_in_worker(coroutine, seconds), loop).result()
    if error is not None:
        raise error
    return ended


async def _run(coroutine: Coroutine[Any, Any, Any], seconds: float) -> tuple[Any, BaseException | None]:
    """Its answer, or its error: of `SystemExit` a loop would end."""
    try:
        answer = await _limited(coroutine, seconds)
    except BaseException as error:
        end_if_forked(error)
        return None, error
    end_if_forked(None)
    return answer, None


async def _limited(coroutine: Coroutine[Any, Any, Any], seconds: float) -> Any:
    try:
        async with asyncio.timeout(None if math.isinf(seconds) else seconds) as limit:
            return await coroutine
    except TimeoutError as error:
        if limit.expired():
            raise TimeoutError(f"not ended after the {round(seconds, 2) or seconds:.6g} s of its timeout") from error
        raise


async def _run_in_worker(coroutine: Coroutine[Any, Any, Any], seconds: float) -> tuple[Any, BaseException | None]:
    global _closing
    answer = await _run(coroutine, seconds)
    if _closing is None or _closing.done():
        _closing = asyncio.create_task(_clean_up())
    return answer


async def _clean_up() -> None:
    """Close what broke or grew too old, where asgiref lets all of them speak to the database: one thread."""
    try:
        await sync_to_async(look_before)()
    except Exception:
        logger.exception("connections_not_closed")


def _running_loop() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    global _loop, _thread
    with _lock:
        if _loop is None or _thread is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_serve, args=[_loop], name="jobs-event-loop", daemon=True)
            _thread.start()
        return _loop, _thread


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    while True:
        try:
            loop.run_forever()
        except BaseException:  # of a callback; the tasks that wait must not hang
            logger.exception("event_loop_broke")
        else:
            logger.error("event_loop_stopped: a task has stopped it; it goes on")
