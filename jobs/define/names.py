"""The stable names of tasks and of their schedules; and how a call is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.apps import apps

from ..errors import InvalidTask
from ..rules.rule import Rule


def task_name(func: Callable[..., Any]) -> str:
    """The stable name `app_label.function`; outside an installed app the module's name stands for the label."""
    if apps.app_configs:
        for config in apps.app_configs.values():
            if func.__module__ == config.name or func.__module__.startswith(f"{config.name}."):
                return f"{config.label}.{func.__name__}"
    return f"{func.__module__}.{func.__name__}"


def named_schedules(task: str, given: Rule | Iterable[Rule]) -> dict[str, Rule]:
    """The task's schedules by name: the first is called like the task, the others say their rule as well."""
    rules = [given] if isinstance(given, Rule) else list(given) if isinstance(given, Iterable) else [given]
    if any(not isinstance(rule, Rule) for rule in rules):
        raise InvalidTask(f"task {task}: schedule={given!r}: expected Cron(...), Every(...), or a list of them")
    names = [task if index == 0 else f"{task} {rule.spelling}" for index, rule in enumerate(rules)]
    if len({rule.spelling for rule in rules}) < len(rules):
        raise InvalidTask(f"task {task}: schedule= holds the same times twice")
    return dict(zip(names, rules, strict=True))


def call_of(one: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """The arguments of one of many calls, as `enqueue_many` takes them."""
    if isinstance(one, tuple):
        return one, {}
    if isinstance(one, dict):
        return (), one
    return (one,), {}
