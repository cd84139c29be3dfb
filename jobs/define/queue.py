"""A queue: a Huey with a policy, whose jobs are kept by the broker.

Huey's registry, decorators, hooks, signals and consumer are kept; `jobs.define.huey` lists every name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, NoReturn

from huey import Huey
from huey.api import PeriodicTask
from huey.registry import Registry

from .. import defined
from ..broker import get_broker
from ..errors import InvalidOption, InvalidTask, NotSupported
from ..policy import (
    DEFAULT_PRIORITY,
    Exponential,
    GivenBackoff,
    GroupRules,
    QueuePolicy,
    RateLimit,
    Retention,
    backoff_of,
)
from ..rules.asked import Asked
from . import huey as huey_interface
from .handle import JobHandle
from .pipelines import ChordResult, ResultGroup, enqueue_pipeline
from .task import Task
from .unique import checked_key


class Queue(Huey):
    """A named lane with a policy. `name` is small letters, digits and _.

    `attempts` how often a job is tried in all; `backoff` how long it waits between, a policy or a function of
    (exception, attempt); `concurrency` threads a worker process; `rate_limit` starts in a rolling window over all
    workers; `keep_completed`, `keep_failed`, `keep_age` and `keep_failed_age` what history keeps
    (`jobs.policy.Retention`); `priority` the default, 1 (highest) to 10; `timeout` in seconds, cooperative in threads;
    `global_concurrency` a bound over all machines; `group_concurrency` and `group_rate_limit` the same of each group of
    its jobs, and `group_max` how many jobs of a group may wait: a call with more raises `GroupFull`. Raises
    `InvalidPolicy`.
    """

    def __init__(
        self,
        name: str,
        *,
        attempts: int = 3,
        backoff: GivenBackoff = Exponential(2),  # noqa: B008 - frozen
        concurrency: int = 5,
        rate_limit: RateLimit | None = None,
        keep_completed: int = 1_000,
        keep_failed: int = 1_000,
        keep_age: timedelta | None = None,
        keep_failed_age: timedelta | None = None,
        priority: int = DEFAULT_PRIORITY,
        timeout: float | None = None,
        global_concurrency: int | None = None,
        group_concurrency: int | None = None,
        group_rate_limit: RateLimit | None = None,
        group_max: int | None = None,
        **other: Any,
    ) -> None:
        huey_interface.refuse_options(f"Queue({name!r})", other, huey_interface.QUEUE_OPTIONS_REFUSED)
        self.policy = QueuePolicy(
            name=name,
            attempts=attempts,
            backoff=backoff_of(backoff, Exponential(2)),
            concurrency=concurrency,
            rate_limit=rate_limit,
            retention=Retention(keep_completed, keep_failed, keep_age, keep_failed_age),
            priority=priority,
            timeout=timeout,
            global_concurrency=global_concurrency,
            groups=GroupRules(group_concurrency, group_rate_limit, group_max),
        )
        super().__init__(name, serializer=_NoSerializer())
        self._registry = _TaskRegistry()
        self.tasks: dict[str, Task] = {}
        self._aliases: dict[str, Task] = {}
        defined.register(self)

    def __repr__(self) -> str:
        return f"<Queue {self.name}>"

    def task(self, *wrong: Any, **options: Any) -> Callable[[Callable[..., Any]], Task]:
        """Register a function: `@email.task()`.

        `name` a stable name (default `app_label.function`); `aliases` earlier names; `atomic` processor, jobs it
        enqueues and settle commit in one transaction (G3); `personal` parameters that are masked (G13);
        `encrypted` True, or parameters: these and the result are ciphertext wherever they are stored; `attempts`,
        `backoff`, `timeout`, `priority` (1 highest to 10) other than the queue's; `expires` seconds or timedelta after
        which a call that says nothing else is not started any more; `unique` parameters whose values make the key of a
        call that gives none; `sequence` and `group` the parameter that names that of a call that gives none;
        `schedule` one `Cron(...)` or `Every(...)`, or several, at which keepers enqueue it; `isolated` each job runs in
        a process of its own, killed at its `timeout` with all that it has started, and where it uses more than `memory`
        MiB; `limits` one `Limit(...)` or several that it shares with other tasks, and `Breaker(...)` of what it calls;
        `bulk` one call of the function takes so many jobs (`jobs.BulkJob`), and begins when `bulk_min` are due or the
        first has waited `wait` seconds. Raises `InvalidTask`, and `InvalidOption` for a wrong `expires`.
        """
        if wrong:
            raise InvalidTask(f"write @{self.name}.task() with parentheses; options are given by name")
        return self._register(options)

    def periodic_task(
        self, validate_datetime: Callable[[datetime], bool], **options: Any
    ) -> Callable[[Callable[..., Any]], Task]:
        """Register a function that the keeper enqueues on schedule: `@lead.periodic_task(crontab(minute="0"))`.

        The schedule is asked with naive minutes of Django's `TIME_ZONE`. Options as for `task`.
        """
        schedule = Asked(validate_datetime)

        def validate(task: PeriodicTask, timestamp: datetime) -> bool:
            return bool(validate_datetime(timestamp))

        periodic = {"validate_datetime": validate, "task_base": PeriodicTask, "schedule": schedule}
        return self._register({**options, **periodic})

    def context_task(
        self, obj: AbstractContextManager[Any], as_argument: bool = False, **options: Any
    ) -> Callable[[Callable[..., Any]], Task]:
        """Huey's: register a function that runs `with obj`; `as_argument`: what that gives is its first argument.

        Options as for `task`.
        """

        def decorate(func: Callable[..., Any]) -> Task:
            if inspect.iscoroutinefunction(func):
                raise InvalidTask(f"{func.__qualname__} is async: write the `with` inside it")

            @wraps(func)
            def run(*args: Any, **kwargs: Any) -> Any:
                with obj as given:
                    return func(given, *args, **kwargs) if as_argument else func(*args, **kwargs)

            if as_argument:
                signature = inspect.signature(func)
                others = list(signature.parameters.values())[1:]
                run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
            return self.task(**options)(run)

        return decorate

    def signal(self, *signals: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Huey's: call the function when one of these signals is sent in a worker, or any.

        Raises `NotSupported` for one that is never sent.
        """
        for name in signals:
            if remedy := huey_interface.SIGNALS_REFUSED.get(name):
                raise NotSupported(f"the signal {name!r} is not supported: {remedy}")
            if name not in huey_interface.SIGNALS_SENT:
                known = ", ".join(sorted(huey_interface.SIGNALS_SENT))
                raise InvalidOption(f"signal({name!r}): expected one of {known}")
        return super().signal(*signals)

    @property
    def periodic_tasks(self) -> list[tuple[str, Task, Callable[[datetime], bool]]]:
        """Name, task and schedule of each periodic task; the schedule takes a naive datetime."""
        return [
            (name, task, task.task_class().validate_datetime)
            for name, task in self.tasks.items()
            if issubclass(task.task_class, PeriodicTask)
        ]

    def holder(self, key: str) -> JobHandle | None:
        """The job that a call with this key would be answered with: the live one, or a throttle's first; or None.

        Raises `BrokerAway`, and `InvalidOption` for what is no key.
        """
        found = get_broker().holder(self.name, checked_key(key))
        return None if found is None else JobHandle(found, created=False)

    def enqueue(self, task: object) -> JobHandle | ResultGroup | ChordResult:
        """Huey's: enqueue what `task.s(...)` with `.then` and `.error`, `group` or `chord` has made; all or none.

        Each job is enqueued on the queue of its own task. Returns the handle of a single job, a `ResultGroup` of a
        pipeline or group, and of a chord its `ChordResult`. Raises what `enqueue` of a task raises.
        """
        return enqueue_pipeline(task)

    def find_task(self, name: str) -> Task | None:
        """The task of this name, or of this earlier name; None if there is none."""
        return self.tasks.get(name) or self._aliases.get(name) or defined.find_elsewhere(name, self)

    def find_own_task(self, name: str) -> Task | None:
        """The same among those that were registered here: no function of Django's tasks."""
        return self.tasks.get(name) or self._aliases.get(name)

    def forget_task(self, task: Task) -> None:
        """Let this task and its names be known no more; nothing where another has them."""
        for known in (self.tasks, self._aliases):
            for name in [name for name, one in known.items() if one is task]:
                del known[name]

    def policy_of_task(
        self, attempts: int | None, backoff: GivenBackoff | None, timeout: float | None, priority: int | None
    ) -> QueuePolicy:
        """The queue's policy with a task's own values; raises `InvalidPolicy`."""
        policy = self.policy
        return replace(
            policy,
            attempts=policy.attempts if attempts is None else attempts,
            backoff=policy.backoff if backoff is None else backoff_of(backoff, policy.backoff),
            timeout=policy.timeout if timeout is None else timeout,
            priority=policy.priority if priority is None else priority,
        )

    def get_task_wrapper_class(self) -> type[Task]:
        """Huey's hook for the class that wraps a task's function."""
        return Task

    def create_storage(self) -> _NoStorage:
        """Huey's hook for its storage: the broker keeps the jobs, so there is none."""
        return _NoStorage()

    @property
    def immediate(self) -> bool:
        """Always False; setting it True is refused."""
        return False

    @immediate.setter
    def immediate(self, value: bool) -> None:
        if value:
            raise NotSupported("Queue.immediate is not supported: use task.call(...) or jobs.testing")

    def create_consumer(self, **options: Any) -> NoReturn:
        """Refused outside `run_huey`, which makes the consumer with its lease."""
        raise NotSupported("Queue.create_consumer is not supported: start `manage.py run_huey`")

    def pending_count(self) -> int:
        """How many jobs are due and wait; stops counting at 10,000."""
        return get_broker().counts(self.name).waiting

    def scheduled_count(self) -> int:
        """How many jobs are not due yet; stops counting at 10,000."""
        return get_broker().counts(self.name).scheduled

    def _register(self, options: dict[str, Any]) -> Callable[[Callable[..., Any]], Task]:
        known = {
            "name",
            "aliases",
            "atomic",
            "personal",
            "attempts",
            "backoff",
            "timeout",
            "priority",
            "context",
            "schedule",
            "validate_datetime",
            "task_base",
            "unique",
            "expires",
            "isolated",
            "memory",
            "sequence",
            "group",
            "encrypted",
            "limits",
            "bulk",
            "bulk_min",
            "wait",
        }
        unknown = {key: value for key, value in options.items() if key not in known}
        huey_interface.refuse_options(f"@{self.name}.task", unknown, huey_interface.TASK_OPTIONS_REFUSED)

        def decorate(func: Callable[..., Any]) -> Task:
            task = Task(self, func.func if isinstance(func, Task) else func, **options)
            if task.schedules:
                _check_takes_nothing(task)
            self.tasks[task.name] = task
            self._aliases.update(dict.fromkeys(task.aliases, task))
            names = (task.name, *task.aliases)
            if task.limits:
                self.policy = replace(self.policy, limits={**self.policy.limits, **dict.fromkeys(names, task.limits)})
            if task.breakers:
                breakers = dict.fromkeys(names, tuple(one.name for one in task.breakers))
                self.policy = replace(self.policy, breakers={**self.policy.breakers, **breakers})
            if task.bulk is not None:
                self.policy = replace(self.policy, bulks={**self.policy.bulks, **dict.fromkeys(names, task.bulk)})
            return task

        return decorate


huey_interface.refuse(Queue, huey_interface.QUEUE_REFUSED)


def _check_takes_nothing(task: Task) -> None:
    try:
        task.signature.encode((), {})
    except TypeError as error:
        task.unregister()
        raise InvalidTask(f"scheduled task {task.name}: it is called without arguments: {error}") from None


class _TaskRegistry(Registry):
    """Huey's registry, by stable names."""

    def task_to_string(self, task_class: Any) -> str:
        return str(task_class.stable_name)


class _NoStorage:
    """Stands where Huey expects a storage: the broker keeps the jobs."""

    blocking = True

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotSupported(f"Huey's storage ({name}) is not used: the broker keeps the jobs")


class _NoSerializer:
    """Stands where Huey expects a serializer, so that nothing is ever pickled."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotSupported("Huey's serializer is not used: messages are JSON, written by the task's signature")
