"""What a forked child of a worker is: a program like any other, with nothing of the worker in it.

The worker's signal handlers, pipes and connections stay with the parent. When the child comes back to the engine from
the task that forked it, it ends as a plain program would: it claims, runs and settles nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any, NoReturn, ParamSpec, TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

P = ParamSpec("P")
Answer = TypeVar("Answer")
Handler = Callable[[int, FrameType | None], Any] | int | None

_is_forked = False
_lock = threading.Lock()
#: Django's connections of all threads.
_opened: weakref.WeakSet[BaseDatabaseWrapper] = weakref.WeakSet()
#: By forking thread: what must not be closed, since closing it would end the parent's transactions.
_held: dict[int, object] = {}
_masks: dict[int, Collection[int]] = {}


def leave_forks_alone(handlers: dict[int, Handler], pipes: Collection[int]) -> None:
    """From now on a forked child gets these signal handlers back and has none of these pipes. Once a process."""

    def block_signals() -> None:
        if _is_forked:
            return
        # until the child has its own handlers: what is sent to it at once must not be lost, nor end the parent
        _masks[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
        with _lock:
            _held[threading.get_ident()] = list(_opened)

    def unblock_signals() -> None:
        if not _is_forked:
            _held.pop(threading.get_ident())
            signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop(threading.get_ident()))

    def leave_the_worker() -> None:
        global _is_forked
        if _is_forked:
            return
        _is_forked = True
        signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for pipe in pipes:
            os.close(pipe)
        _leave_connections()
        signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop(threading.get_ident()))

    connection_created.connect(_note, dispatch_uid="jobs.work.forks")
    os.register_at_fork(before=block_signals, after_in_parent=unblock_signals, after_in_child=leave_the_worker)


def call(function: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
    """Call what may fork; comes back, by an answer or an error, only in the worker itself."""
    try:
        answer = function(*args, **kwargs)
    except BaseException as error:
        if _is_forked:
            _end(error)
        raise
    if _is_forked:
        _end(None)
    return answer


def end_if_forked(error: BaseException | None) -> None:
    """Where what may have forked has come back in the child, end it, by this error; for what `call` cannot call."""
    if _is_forked:
        _end(error)


def _note(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if not _is_forked:
        with _lock:
            _opened.add(connection)


def _leave_connections() -> None:
    """Let the child open connections of its own: those that it inherited are the parent's sessions and files."""
    for wrapper in connections.all(initialized_only=True):
        pools = getattr(wrapper, "_connection_pools", {})
        _held[id(wrapper)] = (wrapper.connection, dict(pools))
        pools.clear()
        wrapper.connection = None
        wrapper.run_on_commit = []  # the parent's commit runs them
        del connections[wrapper.alias]


def _end(error: BaseException | None) -> NoReturn:
    """End this process as the interpreter ends: 0, the code of `SystemExit`, or a traceback and 1."""
    status = 1
    try:
        status = _status_of(error)
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as `multiprocessing` does
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _status_of(error: BaseException | None) -> int:
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)  # noqa: T201
        return 1
    sys.excepthook(type(error), error, error.__traceback__)
    if isinstance(error, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return 1
