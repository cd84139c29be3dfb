"""A function of `@task` as a task of the engine: what a worker calls, and what it tells Django of its end."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from django.dispatch import Signal

from ..broker.records import Completed, Failed, GivenUp, Outcome
from ..define.context import current_job
from ..define.queue import Queue
from ..define.results import decode_result
from ..define.task import Task
from ..errors import InvalidArguments
from ..policy import GIVE_UP, GiveUp
from ..work import event_loop
from ..work.error_texts import trace_of
from . import results
from .framework import TaskError, TaskResultStatus, normalize_json, task_finished, task_started
from .task import AskedBackoff, policy_of

logger = logging.getLogger("jobs.django_tasks")

#: The result of the function that runs here, as Django's receivers and the function itself see it.
_result: ContextVar[results.Result | None] = ContextVar("jobs_django_result", default=None)


class FunctionTask(Task):
    """A function of `@task` on one of its queues, under the function's dotted path.

    `found` is what `@task` made of it, `policy` gives its `max_attempts`, `backoff` and `timeout`, and `sender` and
    `alias` name the backend. Raises the engine's `InvalidTask` where the function cannot be a task.
    """

    # the function is called as it is: Huey's call syntax takes no name of a parameter away
    reserved = frozenset()

    def __init__(
        self, queue: Queue, name: str, found: Any, policy: Mapping[str, Any], sender: type, alias: str
    ) -> None:
        self.found = found
        self.sender = sender
        self.alias = alias
        options = policy_of(policy)
        self.asks = callable(policy["backoff"])
        if self.asks:
            options["backoff"] = _asking(policy["backoff"])
        super().__init__(
            queue,
            self._function(),
            name=name,
            atomic=getattr(found, "atomic", False),
            personal=getattr(found, "personal", ()),
            unique=getattr(found, "unique", ()) or None,
            **options,
        )

    def _function(self) -> Callable[..., Any]:
        func = self.found.func

        def run(*args, **kwargs):  # type: ignore[no-untyped-def]  # annotations would be those of the task
            return self._run(args, kwargs)

        given = list(inspect.signature(func).parameters.values())[1 if self.found.takes_context else 0 :]
        # values are handed over as JSON has them, which is Django's rule: no annotation converts
        bare = [one.replace(annotation=one.empty) for one in given]
        run.__signature__ = inspect.Signature(bare)  # type: ignore[attr-defined]
        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(run, name, getattr(func, name))
        return run

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        told = self.found.takes_context or self.asks
        result = results.of_running(current_job().claimed, self.found, self.alias, with_history=told)
        _result.set(result)
        self._send(task_started, result)
        context = (results.Context(task_result=result),) if self.found.takes_context else ()
        if inspect.iscoroutinefunction(self.found.func):
            value = event_loop.run(self.found.func(*context, *args, **kwargs), current_job().time_remaining)
        else:
            value = self.found.call(*context, *args, **kwargs)
        try:
            return normalize_json(value)
        except (TypeError, ValueError) as error:
            # for good: trying again would do again what the function has done
            raise InvalidArguments(f"{self.name} returned what cannot be written as JSON: {error}") from None

    def ended(self, outcome: Outcome, error: BaseException | None) -> None:
        """Tell Django how an attempt ended; what comes back later has not finished for it."""
        result = _result.get()
        if result is None:
            return
        if isinstance(outcome, Completed):
            results.finish(result, TaskResultStatus.SUCCESSFUL, decode_result(outcome.result))
        elif isinstance(outcome, Failed) and error is not None:
            results.finish(result, TaskResultStatus.FAILED, error=_told(error, outcome.traceback))
        elif isinstance(outcome, (Failed, GivenUp)):
            results.finish(result, TaskResultStatus.FAILED, error=results.told_otherwise(outcome))
        else:
            return
        if error is None or self.personal:
            # the exception itself would show what is masked in its texts
            self._send(task_finished, result)
            return
        try:
            raise error
        except BaseException:  # where Django's receivers look for it: sys.exc_info()
            self._send(task_finished, result)

    def _send(self, signal: Signal, result: results.Result) -> None:
        try:
            signal.send_robust(sender=self.sender, task_result=result)
        except BaseException:  # Django lets SystemExit pass; a receiver must not change how a job ends
            logger.exception("signal_receiver_left task=%s", self.name)


def _asking(function: AskedBackoff) -> Callable[[Any, int], float | timedelta | GiveUp | None]:
    """Django's coming backoff, a function of the error and the result, as one of the engine's."""

    def ask(error: BaseException, attempt: int) -> float | timedelta | GiveUp | None:
        result = _result.get()
        if result is None:
            return None
        answer = function(error, results.with_error(result, _told(error, trace_of(error))))
        return GIVE_UP if answer is None else answer

    return ask


def _told(error: BaseException, trace: str) -> TaskError:
    return TaskError(exception_class_path=f"{type(error).__module__}.{type(error).__qualname__}", traceback=trace)
