"""The backend of Django's tasks framework that keeps tasks as jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from .. import clock, defined
from ..broker.records import NewJob
from ..define.message import MAX_ARGUMENTS
from ..define.options import NO_OPTIONS, Options
from ..define.passed import Takes
from ..define.task import PreparedTask
from ..define.unique import check_rule
from ..errors import InvalidArguments
from ..policy import ONE_YEAR
from . import functions, results
from .framework import (
    BaseTaskBackend,
    InvalidTask,
    InvalidTaskBackend,
    TaskResultDoesNotExist,
    normalize_json,
    task_enqueued,
)
from .task import POLICY, Task, check_policy

#: What OPTIONS may hold beside `modules`; Django's coming version has the first two beside OPTIONS, in capitals.
OPTIONS = (*POLICY, "modules")


class Backend(BaseTaskBackend):
    """Django's tasks as jobs: they commit with the data, and the admin shows them under their functions' paths.

    `QUEUES` are names of the project's queues. `OPTIONS`: `max_attempts`, `backoff` and `timeout` for tasks that say
    none (without them the queue's policy counts), and `modules`, where functions are that stand in no installed app.
    """

    task_class = Task
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True
    supports_metadata = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        where = f"TASKS[{alias!r}]['OPTIONS']"
        unknown = sorted(set(self.options) - set(OPTIONS))
        if unknown:
            raise InvalidTaskBackend(f"{where}: unknown option {unknown[0]!r}; options are: {', '.join(OPTIONS)}")
        #: one object for the backend's life: functions know by it under which OPTIONS they were made
        self.policy: Mapping[str, Any] = {name: self.options.get(name, params.get(name.upper())) for name in POLICY}
        modules = self.options.get("modules", ())
        if isinstance(modules, str) or not all(isinstance(one, str) and one for one in modules):
            raise InvalidTaskBackend(f"{where}['modules']={modules!r}: expected a list of modules' dotted names")
        self.modules: Sequence[str] = tuple(modules)
        try:
            check_policy(where, self.policy)
        except InvalidTask as error:
            raise InvalidTaskBackend(str(error)) from None

    def validate_task(self, task: Any) -> None:
        """Refuse with `InvalidTask` what could not run: Django's own rules, a year of delay, and queues of the project.

        While Django starts, the queues are not asked for yet: `check` and `enqueue` do it.
        """
        super().validate_task(task)
        if task.run_after is not None and (task.run_after - clock.now()).total_seconds() > ONE_YEAR:
            raise InvalidTask(f"run_after={task.run_after.isoformat()}: expected a time at most one year ahead.")
        if apps.ready:
            functions.queue_of(task)

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Enqueue a call of a task, in `atomic()` with the caller's data (G1); returns its `TaskResult`.

        Where `key=` is held by a live job, its result is returned. Raises `InvalidTask`, TypeError for arguments that
        are no JSON or do not fit the function, and what the engine's own `enqueue` raises.
        """
        self.validate_task(task)
        function = functions.task_to_enqueue(task, self)
        positional: Any = normalize_json(list(args))
        named: Any = normalize_json(dict(kwargs))
        options: Options = getattr(task, "options", NO_OPTIONS)
        if task.run_after is not None:
            options = options.changed(at=task.run_after)
        check_rule(options.rule, options.key, function.unique)
        prepared = _Prepared(function, options, stored_priority=int(task.priority), extra=_text(results.extra_of(task)))
        handle = prepared.enqueue(*positional, **named)
        if handle.created is False:
            return self.get_result(str(handle.id))
        result = results.of_new(task, self.alias, handle.id, positional, named)
        task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> Any:
        """The `TaskResult` of a job as it is now; raises `TaskResultDoesNotExist` where no such job of a function is.

        `BrokerAway` where only a broker that cannot be reached could know it.
        """
        from ..history import live

        try:
            row = live.row_of(UUID(str(result_id)))
        except ValueError:
            row = None
        found = None if row is None else functions.find(row.task, None)
        if row is None or found is None:
            raise TaskResultDoesNotExist(result_id)
        return results.of_row(row, found.found, self.alias)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """What would keep this backend's tasks from running."""
        try:
            known = sorted(defined.queues())
        except ImproperlyConfigured:  # jobs.E001 says what is wrong with them
            return []
        text = _(
            "TASKS['%(alias)s']['QUEUES'] names %(queue)s, but queues are: %(known)s; name some of these, or define "
            "the queue"
        )
        return [
            Error(
                text % {"alias": self.alias, "queue": repr(queue), "known": ", ".join(known)},
                id="jobs.E020",
            )
            for queue in sorted(self.queues - set(known))
        ]


@dataclass(frozen=True)
class _Prepared(PreparedTask):
    """A call with Django's priority, which is the stored one, and what Django knows of it beside the arguments."""

    stored_priority: int = 0
    extra: str = ""

    def new_job(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], takes: Takes | None = None) -> NewJob:
        job = super().new_job(args, kwargs, takes)
        if not self.extra:
            return replace(job, priority=self.stored_priority)
        message = f'{job.message[:-1]},"{results.EXTRA}":{self.extra}}}'
        if len(message) > MAX_ARGUMENTS:
            raise InvalidArguments(
                f"{job.task}: arguments and metadata take {len(message):,} bytes of JSON, the limit is "
                f"{MAX_ARGUMENTS:,}; store the data in a row and pass its id"
            )
        return replace(job, priority=self.stored_priority, message=message)


def _text(extra: Mapping[str, Any]) -> str:
    return json.dumps(extra, separators=(",", ":"), ensure_ascii=False) if extra else ""
