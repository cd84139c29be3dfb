"""Every public name of the installed Huey is kept, replaced or refused, and the list says which."""

from __future__ import annotations

import inspect
import re
from datetime import datetime

import huey
import pytest
from huey import Huey, crontab
from huey.api import ChordResult, Result, ResultGroup, TaskWrapper

from jobs import JobHandle, Queue
from jobs.define import huey as huey_interface
from jobs.define import pipelines
from jobs.define.message import RESERVED_PARAMETERS
from jobs.define.task import Task
from jobs.errors import NotSupported


def public_names(owner: type) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


def test_no_public_name_of_huey_is_missing_from_the_list() -> None:
    listed = huey_interface.QUEUE_KEPT | huey_interface.QUEUE_REPLACED | set(huey_interface.QUEUE_REFUSED)
    assert public_names(Huey) == listed


def test_no_public_name_of_hueys_task_wrapper_is_missing_from_the_list() -> None:
    listed = huey_interface.TASK_KEPT | huey_interface.TASK_REPLACED | set(huey_interface.TASK_REFUSED)
    assert public_names(TaskWrapper) == listed


def test_no_public_class_or_function_of_the_package_is_missing_from_the_list() -> None:
    offered = {
        name
        for name, value in vars(huey).items()
        if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
    }
    assert offered <= huey_interface.PACKAGE_KEPT | set(huey_interface.PACKAGE_REFUSED)


def test_every_keyword_of_hueys_decorator_is_ours_or_refused() -> None:
    hueys = {name for name, p in inspect.signature(Huey.task).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    ours = {"context", "expires", "name", "priority", "timeout"}
    assert hueys - ours - {"self"} <= set(huey_interface.TASK_OPTIONS_REFUSED)


def test_every_keyword_of_hueys_constructor_is_ours_or_refused() -> None:
    hueys = {
        name for name, p in inspect.signature(Huey.__init__).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD
    }
    assert hueys - {"self", "name"} <= set(huey_interface.QUEUE_OPTIONS_REFUSED)


@pytest.mark.parametrize(
    ("hueys", "ours", "replaced", "refused"),
    [
        (Result, JobHandle, huey_interface.RESULT_REPLACED, huey_interface.RESULT_REFUSED),
        (
            ResultGroup,
            pipelines.ResultGroup,
            huey_interface.RESULT_GROUP_REPLACED,
            huey_interface.RESULT_GROUP_REFUSED,
        ),
        (
            ChordResult,
            pipelines.ChordResult,
            huey_interface.CHORD_RESULT_REPLACED,
            huey_interface.CHORD_RESULT_REFUSED,
        ),
    ],
)
def test_no_public_name_of_hueys_results_is_missing_from_ours(
    hueys: type, ours: type, replaced: frozenset[str], refused: dict[str, str]
) -> None:
    assert public_names(hueys) | set(getattr(hueys, "__annotations__", ())) <= replaced | set(refused)
    for name, remedy in refused.items():
        with pytest.raises(NotSupported, match=re.escape(remedy)):
            getattr(ours, name)(None)


def test_every_keyword_of_hueys_call_is_ours_or_refused() -> None:
    refused = set(huey_interface.CALL_OPTIONS_REFUSED)
    assert refused | {"eta", "delay", "priority", "expires"} == RESERVED_PARAMETERS


@pytest.mark.parametrize("name", sorted(huey_interface.QUEUE_REFUSED))
def test_a_refused_name_of_a_queue_says_what_to_use(queue: Queue, name: str) -> None:
    with pytest.raises(NotSupported, match=re.escape(huey_interface.QUEUE_REFUSED[name])):
        getattr(queue, name)()


@pytest.mark.parametrize("name", sorted(huey_interface.TASK_REFUSED))
def test_a_refused_name_of_a_task_says_what_to_use(queue: Queue, name: str) -> None:
    @queue.task()
    def nothing() -> None: ...

    with pytest.raises(NotSupported, match="not supported"):
        getattr(nothing, name)()


def test_the_private_names_of_huey_that_we_use_are_there() -> None:
    for name in ("_run_pre_execute", "_run_post_execute", "_emit"):
        assert callable(getattr(Huey, name))
    made = Queue("private_names")
    assert made._tasks_in_flight == set()
    assert hasattr(made, "_registry")
    assert isinstance(made._signal.receivers, dict)


def test_a_task_keeps_the_functions_name_doc_and_signature(queue: Queue) -> None:
    @queue.task()
    def greet(name: str, *, loud: bool = False) -> str:
        """Say hello."""
        return name

    assert (greet.__name__, greet.__doc__) == ("greet", "Say hello.")
    assert str(inspect.signature(greet)) == "(name: 'str', *, loud: 'bool' = False) -> 'str'"


def test_a_periodic_task_is_listed_with_its_schedule(queue: Queue) -> None:
    @queue.periodic_task(crontab(minute="30"))
    def report() -> None: ...

    [(name, task, due)] = queue.periodic_tasks
    assert (name, isinstance(task, Task)) == (report.name, True)
    half_past = datetime(2026, 1, 1, 5, 30)  # noqa: DTZ001 - Huey's moments are naive
    assert due(half_past)
    assert not due(half_past.replace(minute=31))
