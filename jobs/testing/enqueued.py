"""What was enqueued: look at it, and assert it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..conf import jobs_settings
from ..define.handle import JobHandle
from ..define.options import NO_OPTIONS, Options
from ..define.task import PreparedTask, Task
from ..defined import find_task
from ..history.asked import differences

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from ..models import Job

#: A task, one that `using` has prepared, or a function of Django's `@task`.
AnyTask = Task | PreparedTask | Any


def enqueued(task: AnyTask | None = None) -> list[JobHandle]:
    """Every job there is, of `task` or of all, in the order in which they were enqueued; whether they ran or not."""
    rows = job_rows() if task is None else job_rows().filter(task=_meant(task)[0].name)
    return [JobHandle(job_id) for job_id in rows.values_list("pk", flat=True)]


def assert_enqueued(task: AnyTask, *args: Any, times: int | None = None, **kwargs: Any) -> list[JobHandle]:
    """Fail unless `task` was enqueued with these arguments; with none given, with any. Returns the jobs.

    `times` is how often exactly; without it, at least once. With `task.using(key="k", delay=60)`, only jobs count that
    were enqueued with these options; `delay`, `at` and `expires` are looked at as they are before the job runs. Inside
    an `atomic()` what it has enqueued so far counts. `task` may also be a function of Django's `@task`, whose
    `priority` and `run_after` are not compared.
    """
    named, options = _meant(task)
    of_task = list(job_rows().filter(task=named.name))
    found = [job for job in of_task if not differences(job, options)]
    if args or kwargs:
        wanted = json.loads(named.signature.encode(args, kwargs))
        found = [job for job in found if [job.args, job.kwargs] == [wanted["args"], wanted["kwargs"]]]
    if (found and times is None) or len(found) == times:
        return [JobHandle(job.pk) for job in found]
    expected = "at least once" if times is None else f"{times} times"
    seen = [f"  {job.task} {_call(job)}{_told(differences(job, options))}" for job in of_task or job_rows()[:20]]
    shown = "\n".join(seen) or "  nothing"
    call = f" with {_text(args, kwargs)}" if args or kwargs else ""
    raise AssertionError(
        f"{named.name} was enqueued {len(found)} times{call}, expected {expected}; enqueued were:\n{shown}"
    )


def assert_nothing_enqueued() -> None:
    """Fail if any job was enqueued."""
    seen = "\n".join(f"  {job.task} {_call(job)}" for job in job_rows()[:20])
    if seen:
        raise AssertionError(f"expected no job, enqueued were:\n{seen}")


def job_rows() -> QuerySet[Job]:
    """The rows of all jobs, in the order in which they were enqueued."""
    from ..models import Job

    return Job.objects.using(jobs_settings().database).order_by("pk")


def _meant(task: AnyTask) -> tuple[Task, Options]:
    """The engine's task, and the options that `using` gave it."""
    if isinstance(task, Task):
        return task, NO_OPTIONS
    if isinstance(task, PreparedTask):
        return task.task, task.options
    # a task of Django's
    return find_task(task.module_path), getattr(task, "options", NO_OPTIONS)


def _told(differences: list[str]) -> str:
    return f" with {', '.join(differences)}" if differences else ""


def _call(job: Job) -> str:
    return _text(job.args, job.kwargs)


def _text(args: Any, kwargs: dict[str, Any]) -> str:
    return f"({', '.join([*map(repr, args), *(f'{name}={value!r}' for name, value in kwargs.items())])})"
