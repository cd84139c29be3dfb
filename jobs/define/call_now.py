"""A call of a task in this process and at once, for tests and the shell: no job is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync
from django.db import transaction

from .. import clock
from ..broker.records import ClaimedJob
from ..conf import jobs_settings
from ..policy import stored_priority
from .bulk import BulkJob
from .context import RunningJob, begin_work, end_work, working_on
from .results import decode_result, encode_result

if TYPE_CHECKING:
    from .task import Task


def call_now(task: Task, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run the task; see `Task.call`."""
    given, named = task.signature.decode(task.signature.encode(args, kwargs))
    now = clock.now()
    claimed = ClaimedJob(
        id=clock.new_id(),
        run=1,
        queue=task.queue.name,
        task=task.name,
        message="",
        priority=stored_priority(task.policy.priority),
        token="",
        attempts=0,
        starts=0,
        lost=0,
        ready_at=now,
        claimed_at=now,
    )
    if task.arguments is not None:
        job = BulkJob(task.arguments(*given, **named), claimed, still_mine=lambda: True)
        return _told(task, copy_context().run(_call_in_bulk, task.func, job))
    huey_task = task.task_class(given, named, id=str(claimed.id))
    with working_on(RunningJob(claimed, still_mine=lambda: True)):
        if task.atomic:
            with transaction.atomic(using=jobs_settings().database):
                return _told(task, huey_task.execute())
        value = huey_task.execute()
        return _told(task, async_to_sync(_wait_for)(value) if inspect.iscoroutine(value) else value)


def _call_in_bulk(func: Callable[..., Any], job: BulkJob[Any]) -> Any:
    """Run the function with one job: its result, or the error that it was failed with."""
    begin_work(job, alone=False)
    try:
        answer = func([job])
        if inspect.iscoroutine(answer):
            async_to_sync(_wait_for)(answer)
    finally:
        end_work(job.id)
    if job.error is not None:
        raise job.error
    return job.value


async def _wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await coroutine


def _told(task: Task, value: Any) -> Any:
    return decode_result(encode_result(task.name, value, sealed=bool(task.encrypted)))
