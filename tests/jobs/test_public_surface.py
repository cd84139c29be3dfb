"""What a project imports from `jobs`: the names are there in every phase of Django's start, and so are the errors."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import jobs
from jobs import errors

ROOT = Path(jobs.__file__).parent
#: Errors that nobody outside the engine can meet.
INNER = {"IllegalMove", "PushedTooLate"}
#: The rooms whose functions a project calls.
CALLED = ("define", "enqueue", "history", "operate", "policy.py", "errors.py")


def test_every_name_of_the_surface_is_there_and_documented() -> None:
    for name in jobs.__all__:
        value = getattr(jobs, name)
        assert inspect.getdoc(value), f"jobs.{name} says nothing of itself"


def test_the_surface_is_sorted_and_lists_what_is_imported_later() -> None:
    assert jobs.__all__ == sorted(jobs.__all__)
    assert set(jobs._HOMES) < set(jobs.__all__)


def test_every_error_of_the_engine_is_importable_from_jobs() -> None:
    found = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert found - INNER <= set(jobs.__all__)


def test_what_public_calls_raise_is_importable_from_jobs() -> None:
    for place in CALLED:
        for path in [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py")):
            module = import_module(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))
            for name in raised(path):
                value = getattr(module, name, None)
                if inspect.isclass(value) and issubclass(value, errors.JobsError):
                    assert name in jobs.__all__, f"{path} raises {name}"


def raised(path: Path) -> set[str]:
    """The names of what is raised in the file as `raise Name(...)`."""
    raises = (node.exc for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Raise))
    return {call.func.id for call in raises if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}


def test_all_of_it_can_be_imported_before_django_is_set_up() -> None:
    code = (
        "import sys; from jobs import *; from jobs import Queue, pause\n"
        "Queue('a_lane'); sys.exit('jobs.models' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'puase'"):
        jobs.puase  # noqa: B018
