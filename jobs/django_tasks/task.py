"""Django's task with the options of the engine: what `@task` makes of a function where the backend is one of ours."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..define.options import NO_OPTIONS, Options
from ..define.task import PreparedTask
from ..errors import InvalidOption, InvalidPolicy
from ..policy import Backoff, Exponential, Fixed, QueuePolicy
from .framework import FrameworkTask, InvalidTask, normalize_json

#: What `@task` says of a function once and for all, and what the backend's OPTIONS give to all that say nothing.
POLICY = ("max_attempts", "backoff", "timeout")
STATIC = (*POLICY, "atomic", "personal", "takes_context", "unique")
#: Options of an enqueue that Django has under a name of its own, or with another meaning.
DJANGOS = {"at": "run_after=", "priority": "priority= from -100 to 100"}
#: The length of JSON that a task's metadata may have: it travels with the arguments.
MAX_METADATA = 8 * 1024

#: Seconds until the next attempt, or None for no further one; asked with the error and the result as it is then.
AskedBackoff = Callable[[BaseException, Any], "float | timedelta | None"]


@dataclass(frozen=True, kw_only=True)
class Task(FrameworkTask):  # type: ignore[type-arg]
    """A task of Django's with what the engine adds to it.

    For good, in the decorator: `max_attempts` how often it is tried in all; `backoff` seconds, `Exponential(…)`,
    `Fixed(…)` or a function of the error and the result that answers seconds, or None for "no further attempt";
    `timeout` in seconds, cooperative; `atomic`, `personal` and `unique` as in `@queue.task()`. In `using` too:
    `metadata`, a small object of JSON that the result shows. Only in `using`: what `jobs.Task.using` takes, but for
    Django's own `priority` and `run_after`.
    """

    max_attempts: int | None = None
    backoff: float | timedelta | Backoff | AskedBackoff | None = None
    timeout: float | timedelta | None = None
    atomic: bool = False
    personal: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    options: Options = field(default=NO_OPTIONS, compare=False)

    def __post_init__(self) -> None:
        for name in ("personal", "unique"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        object.__setattr__(self, "metadata", _checked_metadata(self.metadata))
        check_policy(f"task {self.name}", {name: getattr(self, name) for name in POLICY})
        FrameworkTask.__post_init__(self)

    def using(
        self,
        *,
        priority: int | None = None,
        queue_name: str | None = None,
        run_after: datetime | None = None,
        backend: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Task:
        """The task with other options for what is enqueued through it; raises `InvalidTask` and `InvalidOption`."""
        for name in options:
            if name in STATIC:
                raise InvalidOption(f"using({name}=): it is the task's own; write @task({name}=...) above the function")
            if name in DJANGOS:
                raise InvalidOption(f"using({name}=): write {DJANGOS[name]}")
            if name not in NAMES:
                raise TypeError(f"using() got an unexpected option {name!r}; beside Django's own: {', '.join(NAMES)}")
        given: dict[str, Any] = {
            "priority": priority,
            "queue_name": queue_name,
            "run_after": run_after,
            "backend": backend,
            "metadata": metadata,
        }
        changed = replace(self, **{name: value for name, value in given.items() if value is not None})
        merged = self.options.changed(at=changed.run_after, **options)
        # the moment stays Django's, and the clock may be past it when the task is enqueued
        return replace(changed, options=replace(merged, at=None))


#: The options of the engine that `using` takes beside Django's own.
NAMES = tuple(sorted(set(inspect.signature(PreparedTask.using).parameters) - {"self", *DJANGOS}))


def check_policy(where: str, given: Mapping[str, Any]) -> None:
    """Refuse wrong values of `max_attempts`, `backoff` and `timeout` where they are written; raises `InvalidTask`."""
    try:
        values = policy_of(given)
        if values["backoff"] is not None and not isinstance(values["backoff"], (Exponential, Fixed)):
            raise InvalidTask(
                f"{where}: backoff={given['backoff']!r}: expected seconds, Exponential(...), Fixed(...) or a function"
            )
        QueuePolicy(
            "checked",
            attempts=1 if values["attempts"] is None else values["attempts"],
            backoff=values["backoff"] or Fixed(0),
            timeout=values["timeout"],
        )
    except InvalidPolicy as error:
        said = str(error).replace("Queue('checked')", where).replace("attempts=", "max_attempts=")
        raise InvalidTask(said) from None


def policy_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Django's coming names as the engine's own options of a task; a function for `backoff` is left out."""
    backoff, timeout = given.get("backoff"), given.get("timeout")
    if isinstance(backoff, timedelta):
        backoff = backoff.total_seconds()
    if isinstance(backoff, (int, float)) and not isinstance(backoff, bool):
        backoff = Fixed(backoff)
    return {
        "attempts": given.get("max_attempts"),
        "backoff": None if callable(backoff) else backoff,
        "timeout": timeout.total_seconds() if isinstance(timeout, timedelta) else timeout,
    }


def _texts(option: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(one, str) for one in names):
        raise InvalidTask(f"{option}={names!r}: it takes several names of parameters: write ('one',)")
    return tuple(names)


def _checked_metadata(metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, Mapping):
        raise InvalidTask(f"metadata must be a dict, not {metadata!r}.")
    if not all(isinstance(key, str) for key in metadata):
        raise InvalidTask("metadata keys must be strings.")
    try:
        found: Any = normalize_json(metadata)
        size = len(json.dumps(found, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise InvalidTask(f"metadata must be JSON-serializable: {error}") from None
    if size > MAX_METADATA:
        raise InvalidTask(f"metadata takes {size:,} bytes of JSON, the limit is {MAX_METADATA:,}")
    return dict(found)
