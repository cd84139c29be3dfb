"""How the supervisor starts its children: in the way in which it was started itself."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec

import pytest

from jobs.supervise.children import own_command


@pytest.mark.parametrize(
    ("started_as", "start"),
    [
        (None, [os.path.abspath("manage.py")]),
        ("manage", [os.path.abspath("manage.py")]),
        ("django.__main__", ["-m", "django"]),
        ("shop.manage", ["-m", "shop.manage"]),
        ("shop.tools.__main__", ["-m", "shop.tools"]),
    ],
)
def test_children_are_started_as_the_supervisor_was(
    started_as: str | None, start: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = None if started_as is None else ModuleSpec(started_as, None)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
    monkeypatch.setattr(sys, "argv", ["manage.py", "run_huey"])
    command = own_command()
    assert command[0] == sys.executable
    assert command[-len(start) - 1 :] == [*start, "run_huey"]
