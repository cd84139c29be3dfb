"""A task: a function registered on a queue, and the ways to enqueue it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import models
from huey.api import Task as HueyTask
from huey.api import TaskWrapper

from .. import clock
from ..broker.lanes import lane_of
from ..broker.records import KeyMode, NewJob, Outcome
from ..enqueue.accept import accept
from ..enqueue.own_ids import accept_once
from ..errors import InvalidArguments, InvalidOption, InvalidTask
from ..policy import Breaker, GivenBackoff, Limit, stored_priority
from ..rules.rule import Rule
from . import huey as huey_interface
from .bulk import arguments_of, bulk_of
from .call_now import call_now
from .flow import Call, Chain, checked_after, enqueue_calls
from .handle import JobHandle
from .isolation import isolation_of
from .labels import checked_limits
from .message import RESERVED_PARAMETERS, Signature
from .names import call_of, named_schedules, task_name
from .options import NO_OPTIONS, Options
from .passed import Takes, incomplete_message
from .scope import scope_of
from .sequence import checked_parameter, name_of_message
from .unique import check_rule, checked_encrypted, checked_names, key_of_message

if TYPE_CHECKING:
    from .queue import Queue

#: The length of the column that holds it.
MAX_NAME = 200


class Task(TaskWrapper):
    """What `@queue.task()` makes of a function. Calling it enqueues, as with Huey."""

    huey: Queue
    func: Callable[..., Any]
    #: A template calls what can be called: `{{ task.name }}` would enqueue it.
    do_not_call_in_templates = True
    #: Names that no parameter of the function may have.
    reserved: frozenset[str] = RESERVED_PARAMETERS

    def __init__(
        self,
        queue: Queue,
        func: Callable[..., Any],
        *,
        name: str | None = None,
        aliases: Iterable[str] = (),
        atomic: bool = False,
        personal: Iterable[str] = (),
        encrypted: bool | Iterable[str] = (),
        attempts: int | None = None,
        backoff: GivenBackoff | None = None,
        timeout: float | None = None,
        priority: int | None = None,
        context: bool = False,
        schedule: Rule | Iterable[Rule] = (),
        unique: Iterable[str] | None = None,
        sequence: str | None = None,
        group: str | None = None,
        expires: float | timedelta | None = None,
        isolated: bool = False,
        memory: int | None = None,
        limits: Iterable[Limit | Breaker] = (),
        bulk: int | None = None,
        bulk_min: int | None = None,
        wait: float | None = None,
        **settings: Any,
    ) -> None:
        if not inspect.isfunction(func):
            raise InvalidTask(f"{func!r} is not a plain function: write @{queue.name}.task() above a module's function")
        if atomic and inspect.iscoroutinefunction(func):
            text = "a transaction of Django's is of one thread; do with atomic=True what is not async"
            raise InvalidTask(f"{func.__qualname__} is async and atomic=True: {text}")
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise InvalidTask(f"{func.__qualname__} is a generator: a task does its work in one call, without yield")
        aliases, personal = _several(func, aliases), _several(func, personal)
        stable_name = task_name(func) if name is None else name
        for each in (stable_name, *aliases):
            _check_name(queue, each)
        self.bulk = bulk_of(stable_name, bulk, bulk_min, wait)
        #: of a bulk task the dataclass of one job's arguments
        self.arguments = None
        if self.bulk is not None:
            self.arguments = arguments_of(stable_name, func, atomic=atomic, isolated=isolated, context=context)
        self.signature = Signature(self.arguments or func, stable_name, context=context, reserved=self.reserved)
        self.aliases = aliases
        self.atomic = atomic
        self.policy = queue.policy_of_task(attempts, backoff, timeout, priority)
        self.isolation = isolation_of(stable_name, isolated, memory, timeout=self.policy.timeout, atomic=atomic)
        self.options = NO_OPTIONS.changed(expires=expires)
        unknown = [one for one in personal if one not in tuple(self.signature.signature.parameters)]
        if unknown:
            raise InvalidTask(f"task {stable_name}: personal={unknown!r} names no parameter of the function")
        self.schedules = named_schedules(stable_name, schedule)
        self.encrypted = self.signature.encrypted = checked_encrypted(stable_name, self.signature, encrypted)
        # what is not to be read in the store is not to be read anywhere else
        self.personal = self.signature.personal = frozenset(personal) | self.encrypted
        self.unique = checked_names(stable_name, self.signature, unique)
        self.sequence = checked_parameter(stable_name, self.signature, "sequence", sequence)
        self.limits, self.breakers = checked_limits(stable_name, limits)
        self.group = checked_parameter(stable_name, self.signature, "group", group)
        super().__init__(
            queue,
            func,
            context=context,
            name=func.__name__,
            stable_name=stable_name,
            wrapper=self,
            default_timeout=self.policy.timeout,
            **settings,
        )
        functools.update_wrapper(self, func)
        self.name = stable_name

    def create_task(
        self, func: Callable[..., Any], context: bool = False, name: str | None = None, **settings: Any
    ) -> type[HueyTask]:
        """Huey's: its class for the calls; of an `async def`, which Huey has not, a call makes the coroutine."""

        @functools.wraps(func)
        def make(*args: Any, **kwargs: Any) -> Any:
            return func(*args, **kwargs)

        one: type[HueyTask]
        one = super().create_task(make if inspect.iscoroutinefunction(func) else func, context, name, **settings)
        return one

    def __repr__(self) -> str:
        return f"<Task {self.name} on {self.huey.name}>"

    @property
    def queue(self) -> Queue:
        """The queue that the task runs on."""
        return self.huey

    def using(self, **options: Any) -> PreparedTask:
        """The task with other options for what is enqueued through it.

        `priority` 1 (highest) to 10; `delay` seconds or timedelta, up to a year, counted from the call of `enqueue`;
        `at` in its place an aware datetime, at most a year ahead (a past one means now);
        `key` at most one live job of the queue has it; `expires` seconds or timedelta after which it is not started
        any more; `about` the model instance that the job is about; `after` jobs (handles, ids) and calls (`bind`) that
        it waits for; `on_failure` what follows where one of them does not complete: `fail` (it becomes a dead letter),
        `run` or `cancel`; `tags` up to 10 texts, by which many jobs are found again (`jobs.JobFilter`); `group` a
        name: the groups of a queue take turns; `sequence` a name: jobs of the queue that share it run one after
        another; `id` a UUID of the caller's own: a second call with it is answered with the first one's job.
        With a key (this, or the task's `unique`) at most one of: `throttle` seconds in which the first call answers
        for the others, also when its job has ended; `debounce` seconds without a call after which the last call runs;
        `replace` True: a job that waits takes this call's arguments and options; `rerun` True: it takes its arguments.
        With each of these three a call while the job runs makes one more that waits for its end.
        Raises `InvalidOption`.
        """
        refused = {name: True for name in options if name in huey_interface.USING_REFUSED}
        huey_interface.refuse_options(f"{self.name}.using()", refused, huey_interface.USING_REFUSED)
        return PreparedTask(self, self.options).using(**options)

    def bind(self, *args: Any, **kwargs: Any) -> Call:
        """A call that is not enqueued yet, for `after=`, `chain` and `Batch`; raises `InvalidArguments`."""
        return PreparedTask(self, self.options).bind(*args, **kwargs)

    def enqueue(self, *args: Any, **kwargs: Any) -> JobHandle:
        """Enqueue a call; raises `InvalidArguments` (a TypeError) if the arguments do not fit the signature."""
        return PreparedTask(self, self.options).enqueue(*args, **kwargs)

    def enqueue_many(self, calls: Iterable[Any]) -> list[JobHandle]:
        """Enqueue many calls, all checked first; each is a tuple of arguments, a dict of named ones, or one value."""
        return PreparedTask(self, self.options).enqueue_many(calls)

    def key_of(self, *args: Any, **kwargs: Any) -> str | None:
        """The key that a call with these arguments gets by the task's `unique`; None without one."""
        return key_of_message(self.signature, self.unique, self.signature.encode(args, kwargs)) if self.unique else None

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task now, in this process; no job is made.

        Arguments and result are what they would be by way of a job, and refused (`InvalidArguments`) where a job would.
        """
        return call_now(self, args, kwargs)

    def ended(self, outcome: Outcome, error: BaseException | None) -> None:
        """The engine's word, in the job's own context, of how an attempt ended; nothing to do here."""

    def __call__(self, *args: Any, **kwargs: Any) -> JobHandle:
        """Huey's own call: enqueue."""
        return self.enqueue(*args, **kwargs)

    def schedule(
        self,
        args: Iterable[Any] | float | timedelta | datetime | None = None,
        kwargs: Mapping[str, Any] | None = None,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        priority: int | None = None,
        *,
        expires: float | timedelta | None = None,
    ) -> JobHandle:
        """Huey's spelling of `using(at=..., delay=...).enqueue(...)`; `eta` is aware, `priority` is Esteira's.

        A number, timedelta or datetime in the place of `args` is the delay or time of a call without arguments.
        """
        given: Any = args
        if eta is None and delay is None and not isinstance(args, Iterable):
            eta, delay, given = (args, None, ()) if isinstance(args, datetime) else (None, args, ())
        if (eta is None) == (delay is None):
            raise InvalidOption("schedule() takes either eta= (an aware datetime) or delay= (seconds or timedelta)")
        options = self.using(priority=priority, at=eta, delay=delay, expires=expires)
        return options.enqueue(*(given or ()), **(kwargs or {}))

    def map(self, it: Iterable[Any]) -> list[JobHandle]:
        """Huey's spelling of `enqueue_many`."""
        return self.enqueue_many(it)

    def unregister(self) -> bool:
        """Huey's: let the task be known no more, in this process; True if it was."""
        self.queue.forget_task(self)
        return super().unregister()

    def s(self, *args: Any, **kwargs: Any) -> HueyTask:
        """Huey's call that is not enqueued yet, for `.then`, `.error`, `group`, `chord` and `queue.enqueue`.

        What its arguments lack, the job before it in the pipeline gives. `eta=` (an aware datetime), `delay=`,
        `priority=` (Esteira's) and `expires=` as for `schedule`. Raises `InvalidArguments`, `InvalidOption`, and
        `NotSupported` for other options of Huey's.
        """
        given = {name: kwargs.pop(name) for name in RESERVED_PARAMETERS & kwargs.keys()}
        options = {name: given.pop(name, None) for name in ("priority", "delay", "expires")}
        prepared = self.using(**options, at=given.pop("eta", None))
        huey_interface.refuse_options(f"{self.name}.s", given, huey_interface.CALL_OPTIONS_REFUSED)
        incomplete_message(self.signature, args, kwargs, Takes.RESULT)
        made: HueyTask = self.task_class(args, kwargs)
        made.prepared = prepared
        return made

    def huey_job(self, made: HueyTask, more: tuple[Any, ...], takes: Takes | None) -> NewJob:
        """The job of a call that `s` has made, with `more` arguments behind its own, and what it takes of others."""
        prepared: PreparedTask = getattr(made, "prepared", None) or PreparedTask(self, self.options)
        return prepared.new_job((*made.args, *more), made.kwargs, takes)


huey_interface.refuse(Task, huey_interface.TASK_REFUSED)


@dataclass(frozen=True)
class PreparedTask:
    """A task with options; what `using` returns."""

    task: Task
    options: Options

    def using(
        self,
        *,
        priority: int | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        key: str | None = None,
        expires: float | timedelta | None = None,
        about: models.Model | tuple[str, str] | None = None,
        after: Iterable[JobHandle | UUID | str | Call | Chain] | None = None,
        on_failure: str | None = None,
        group: str | None = None,
        sequence: str | None = None,
        tags: Iterable[str] | None = None,
        throttle: float | timedelta | None = None,
        debounce: float | timedelta | None = None,
        replace: bool | None = None,
        rerun: bool | None = None,
        id: UUID | str | None = None,
    ) -> PreparedTask:
        """The same with more options; see `Task.using`."""
        given = {"priority": priority, "delay": delay, "at": at, "key": key, "expires": expires, "about": about}
        labels = {"group": group, "sequence": sequence, "tags": tags, "id": id}
        modes = {"throttle": throttle, "debounce": debounce, "replace": replace, "rerun": rerun}
        waits = {"after": None if after is None else checked_after(after), "on_failure": on_failure}
        options = self.options.changed(**given, **labels, **modes, **waits)
        check_rule(options.rule, options.key, self.task.unique)
        return PreparedTask(self.task, options)

    def enqueue(self, *args: Any, **kwargs: Any) -> JobHandle:
        """Enqueue a call with these options; see `Task.enqueue`."""
        if self.options.after:
            return self.bind(*args, **kwargs).enqueue()
        self._check_waits()
        if self.options.id is not None:
            return JobHandle(*accept_once(self.new_job(args, kwargs)))
        return JobHandle(*accept([self.new_job(args, kwargs)])[0])

    def bind(self, *args: Any, **kwargs: Any) -> Call:
        """A call with these options that is not enqueued yet; see `Task.bind`."""
        self._check_id("bind")
        return Call(self, args, kwargs, self.new_job(args, kwargs))

    def enqueue_many(self, calls: Iterable[Any]) -> list[JobHandle]:
        """Enqueue many calls with these options; see `Task.enqueue_many`."""
        if not isinstance(calls, Iterable):
            raise InvalidArguments(f"enqueue_many({calls!r}): expected several calls: a list, say")
        self._check_id("enqueue_many")
        if self.options.after:
            return enqueue_calls([self.bind(*args, **kwargs) for args, kwargs in map(call_of, calls)])
        self._check_waits()
        return [JobHandle(*one) for one in accept([self.new_job(*call_of(one)) for one in calls])]

    def _check_waits(self) -> None:
        if self.options.on_failure is not None:
            text = "it says what follows where a job fails that this one waits for: add after=[...]"
            raise InvalidOption(f"on_failure={self.options.on_failure!r} without after=: {text}")

    def _check_id(self, name: str) -> None:
        if self.options.id is not None:
            raise InvalidOption(f"id={self.options.id} with {name}, or after=: it is for one job that waits for none")

    def new_job(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], takes: Takes | None = None) -> NewJob:
        """The job of a call with these options, and what it takes of those that it waits for, behind its arguments."""
        task, options, key, rule = self.task, self.options, self.options.key, self.options.rule
        if takes is None:
            message = task.signature.encode(args, kwargs)
        else:
            message = incomplete_message(task.signature, args, kwargs, takes)
        if task.unique and key is None:
            if takes is not None:
                text = "its arguments, of which unique= makes its key, come of another job: enqueue it inside that job"
                raise InvalidOption(f"{task.name} in a pipeline: {text}")
            key = key_of_message(task.signature, task.unique, message)
        sequence, group = options.sequence, options.group
        if task.sequence and not sequence:
            sequence = name_of_message(task.signature, "sequence", task.sequence, message, takes)
        if task.group and not group:
            group = name_of_message(task.signature, "group", task.group, message, takes)
        return NewJob(
            id=options.id or clock.new_id(),
            queue=task.queue.name,
            task=task.name,
            message=message,
            priority=stored_priority(task.policy.priority if options.priority is None else options.priority),
            delay=rule.seconds if rule is not None and rule.mode is KeyMode.DEBOUNCE else options.delay,
            key=key,
            expires_in=options.expires,
            about=options.about,
            at=options.at,
            group=group,
            tags=options.tags,
            scope=scope_of(task.signature.signature, args, kwargs, complete=takes is None),
            rule=rule,
            sequence=sequence,
            lane=lane_of(group, task.name, ruled=task.queue.policy.has_lane(task.name)),
            group_max=task.queue.policy.groups.most if group else None,
        )


def _several(func: Callable[..., Any], given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, Iterable) and not isinstance(given, str):
        return tuple(given)
    raise InvalidTask(f"task {func.__qualname__}: aliases= and personal= take several texts: write ('one',)")


def _check_name(queue: Queue, name: Any) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable() or name != name.strip():
        raise InvalidTask(f"queue {queue.name}: the task name {name!r}: expected a text of 1 to {MAX_NAME} characters")
    if queue.find_own_task(name) is not None:
        raise InvalidTask(f"queue {queue.name}: the task name {name!r} is taken; give another name=")
