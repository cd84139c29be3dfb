"""Huey's public interface, name by name: what is kept, what is replaced, what is refused and what to use instead.

A test compares these lists with the installed Huey: a public name that they lack fails it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from ..errors import NotSupported

#: `huey.Huey`: inherited as it is
QUEUE_KEPT = frozenset(
    {
        "disconnect_signal",
        "get_task_wrapper_class",
        "notify_interrupted_tasks",
        "on_shutdown",
        "on_startup",
        "post_execute",
        "pre_execute",
        "unregister_on_shutdown",
        "unregister_on_startup",
        "unregister_post_execute",
        "unregister_pre_execute",
    }
)
#: `huey.Huey`: the same name, done over the broker
QUEUE_REPLACED = frozenset(
    {
        "context_task",
        "create_consumer",
        "create_storage",
        "enqueue",
        "immediate",
        "pending_count",
        "periodic_task",
        "scheduled_count",
        "signal",
        "storage_class",
        "task",
    }
)
_LOCK = "give the jobs a key= (at most one live job has it) or the queue global_concurrency=1"
_STORE = "results and state are in the job's row: use the JobHandle"
_REVOKE = "use JobHandle.cancel() or `manage.py jobs cancel --task NAME`, or pause the queue"
_WORKER = "the worker claims, runs and settles jobs by itself: start `manage.py run_huey`"
#: `huey.Huey`: refused, with what to use
QUEUE_REFUSED: Mapping[str, str] = {
    "add_schedule": "use task.using(delay=...).enqueue(...)",
    "all_results": _STORE,
    "build_error_result": "errors are in the job's attempts",
    "delete": _STORE,
    "dequeue": _WORKER,
    "deserialize_task": "messages are read by the task's signature",
    "execute": _WORKER + "; in tests use task.call(...) or jobs.testing",
    "flush": "use `manage.py jobs cancel`",
    "flush_locks": _LOCK,
    "get": _STORE,
    "get_immediate_storage": "use jobs.testing",
    "get_raw": _STORE,
    "get_storage": "jobs are kept by the broker",
    "is_locked": _LOCK,
    "is_revoked": _REVOKE,
    "lock_task": _LOCK,
    "pending": "use `manage.py jobs list` or the admin",
    "put": _STORE,
    "put_if_empty": _STORE,
    "put_result": _STORE,
    "rate_limit": "give the queue rate_limit=RateLimit(limit, per=seconds)",
    "read_periodic": "the keeper ticks periodic tasks",
    "read_schedule": "delayed jobs become due by the clock",
    "ready_to_run": "delayed jobs become due by the clock",
    "restore": _REVOKE,
    "restore_all": _REVOKE,
    "restore_by_id": _REVOKE,
    "result": "use JobHandle(id).result(timeout=...)",
    "result_count": _STORE,
    "revoke": _REVOKE,
    "revoke_all": _REVOKE,
    "revoke_by_id": _REVOKE,
    "scheduled": "use `manage.py jobs list --state scheduled` or the admin",
    "serialize_task": "messages are written by the task's signature",
}

#: `huey.signals`: sent in the worker
SIGNALS_SENT = frozenset({"canceled", "complete", "error", "executing", "interrupted", "retrying"})
#: `huey.signals`: never sent, so nobody may wait for them
SIGNALS_REFUSED: Mapping[str, str] = {
    "enqueued": "listen to the event (jobs.EventSignal) of which the job comes",
    "expired": "the broker ends such a job, in no worker: see `manage.py jobs list --state expired`",
    "locked": _LOCK,
    "rate-limited": "the broker holds such jobs back, and no worker sees them: see `manage.py jobs status`",
    "revoked": _REVOKE + "; `canceled` tells of a job that ran",
    "scheduled": "delayed jobs become due by the clock: see `manage.py jobs list --state scheduled`",
    "timeout": "listen to `error`, or to jobs.signals.job_failed",
}

#: `huey.api.TaskWrapper`
TASK_KEPT = frozenset({"call_local", "create_task", "task_base"})
TASK_REPLACED = frozenset({"map", "s", "schedule", "unregister"})
TASK_REFUSED: Mapping[str, str] = {
    "is_revoked": _REVOKE,
    "restore": _REVOKE,
    "retries": "attempts= and backoff= are the queue's policy, or the task's",
    "retry_delay": "attempts= and backoff= are the queue's policy, or the task's",
    "revoke": _REVOKE,
}

#: `huey.api.Result`: of a `JobHandle`
RESULT_REPLACED = frozenset({"get", "id", "reschedule"})
RESULT_REFUSED: Mapping[str, str] = {
    "get_raw_result": "use result(timeout=...), which raises JobFailed, or error",
    "is_ready": "use state",
    "is_revoked": "use state, which is cancelled then",
    "reset": "nothing is cached: each look reads anew",
    "restore": "a cancelled job stays so: enqueue a new one; to hold jobs back for a while, pause the queue",
    "revoke": "use cancel(), which also asks a job that runs",
}
#: `huey.api.ResultGroup` and `huey.api.ChordResult`
RESULT_GROUP_REPLACED = frozenset({"get"})
RESULT_GROUP_REFUSED: Mapping[str, str] = {
    "as_completed": "use asyncio.as_completed() over handle.aresult() of the handles in it",
}
CHORD_RESULT_REPLACED = frozenset({"callback", "get", "pipeline_results", "results"})
CHORD_RESULT_REFUSED: Mapping[str, str] = {"reset": RESULT_REFUSED["reset"]}

#: Keywords of Huey's `@huey.task(...)` that Esteira does another way
TASK_OPTIONS_REFUSED: Mapping[str, str] = {
    "retries": "use attempts= (retries + 1)",
    "retry_delay": "use backoff=Fixed(seconds) or Exponential(base)",
    "retry_backoff": "use backoff=Exponential(base, factor=...)",
    "on_complete": "use task.s(...).then(other)",
    "on_error": "use task.s(...).error(other), or listen to jobs.signals.job_failed",
}

#: Keywords of Huey's `task.s(...)` that Esteira does another way
CALL_OPTIONS_REFUSED: Mapping[str, str] = {
    "id": "the job's id is made when it is enqueued",
    "retries": TASK_OPTIONS_REFUSED["retries"] + " of the task or the queue",
    "retry_delay": TASK_OPTIONS_REFUSED["retry_delay"] + " of the task or the queue",
    "retry_backoff": TASK_OPTIONS_REFUSED["retry_backoff"] + " of the task or the queue",
    "timeout": "use timeout= of the task or the queue",
}

#: Options of BullMQ's that `task.using(...)` does not take
USING_REFUSED: Mapping[str, str] = {
    "front": "each new job would starve those that wait; priority=1 puts it before all others of its queue",
    "extend": "a throttle that each call prolongs never ends; debounce= counts from the last call",
}

#: Keywords of Huey's constructor
QUEUE_OPTIONS_REFUSED: Mapping[str, str] = {
    "results": "results are always kept, in the job's row",
    "store_none": "results are always kept, in the job's row",
    "store_intermediate_errors": "every attempt keeps its error",
    "utc": "times are always UTC",
    "immediate": "use jobs.testing",
    "immediate_use_memory": "use jobs.testing",
    "serializer": "messages are JSON",
    "compression": "messages are JSON",
    "use_zlib": "messages are JSON",
    "storage_class": "set REDIS_URL or DATABASE_URL: the broker follows the settings",
}

#: Names of the package `huey`: classes and functions
PACKAGE_KEPT = frozenset({"CancelExecution", "Error", "Huey", "RetryTask", "chord", "crontab", "group"})
PACKAGE_REFUSED: Mapping[str, str] = {
    "BlackHoleHuey": "define queues with jobs.Queue",
    "CySqliteHuey": "define queues with jobs.Queue",
    "FileHuey": "define queues with jobs.Queue",
    "MemoryHuey": "use jobs.testing",
    "PostgresHuey": "define queues with jobs.Queue; DATABASE_URL chooses the database",
    "PriorityRedisExpireHuey": "define queues with jobs.Queue",
    "PriorityRedisHuey": "define queues with jobs.Queue",
    "RedisExpireHuey": "define queues with jobs.Queue",
    "RedisHuey": "define queues with jobs.Queue",
    "SqliteHuey": "define queues with jobs.Queue; DATABASE_URL chooses the database",
}


def refuse(owner: type, names: Mapping[str, str]) -> None:
    """Make each name of the class raise `NotSupported` with what to use instead."""
    for name, remedy in names.items():
        setattr(owner, name, _refusal(owner.__name__, name, remedy))


def refuse_options(where: str, given: Mapping[str, Any], refused: Mapping[str, str]) -> None:
    """Raise for keywords that are Huey's but not ours, or nobody's."""
    for name in given:
        if name in refused:
            raise NotSupported(f"{where}: {name}= is not supported: {refused[name]}")
        raise TypeError(f"{where}: unexpected option {name!r}")


def _refusal(owner: str, name: str, remedy: str) -> Any:
    def refused(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotSupported(f"{owner}.{name} is not supported: {remedy}")

    refused.__name__ = name
    refused.__doc__ = f"Refused: {remedy}."
    return refused
