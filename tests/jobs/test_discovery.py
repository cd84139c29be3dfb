"""The apps' `tasks` and `receivers`: one that cannot be imported stops the start, unless a setting leaves it out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from jobs.apps import import_tasks_and_receivers
from jobs.conf import jobs_settings
from jobs.defined import queues


@pytest.fixture
def app(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`app(tasks="…")` writes the app `strange_shop` with these modules and installs it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "strange_shop"
    folder.mkdir()
    (folder / "__init__.py").touch()

    def make(**modules: str) -> None:
        for name, code in modules.items():
            (folder / f"{name}.py").write_text(code)
        apps.set_installed_apps([*settings.INSTALLED_APPS, "strange_shop"])

    yield make
    apps.unset_installed_apps()
    for name in [name for name in sys.modules if name.split(".")[0] == "strange_shop"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("module", "code", "told"),
    [
        ("tasks", "\nimport celery_of_somebody", r"ModuleNotFoundError: No module named 'celery_of_somebody'.*line 2"),
        ("receivers", "\n\ndef broken(:\n    pass", r"SyntaxError: invalid syntax .*strange_shop/receivers.py, line 3"),
        ("tasks", "from . import nothing", r"ImportError: cannot import name 'nothing'"),
        (
            "tasks",
            "try:\n  {}['a']\nexcept KeyError:\n  raise ValueError('no')",
            r"ValueError: no .*because of KeyError",
        ),
        ("tasks", "raise SystemExit(3)", r"SystemExit: 3"),
        ("tasks", "raise ValueError('one\\ntwo')", r"ValueError: one two"),
    ],
)
def test_a_module_that_cannot_be_imported_stops_the_start_and_is_named_with_its_error(
    app: Callable[..., None], module: str, code: str, told: str
) -> None:
    with pytest.raises(
        ImproperlyConfigured, match=rf"strange_shop\.{module} of the app 'strange_shop' .*{told}.*IGNORE_APPS"
    ):
        app(**{module: code})


def test_only_the_setting_leaves_such_an_app_out(app: Callable[..., None], settings: Any) -> None:
    settings.JOBS = {**settings.JOBS, "IGNORE_APPS": ["strange_shop"]}
    app(tasks="import celery_of_somebody")
    assert "strange_shop.tasks" not in sys.modules


def test_an_app_without_these_modules_or_with_some_that_register_nothing_is_fine(app: Callable[..., None]) -> None:
    app(tasks="from functools import cache\n@cache\ndef task(): pass")
    assert "strange_shop.tasks" in sys.modules


def test_leaving_out_an_app_that_is_not_installed_is_refused_by_name() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"IGNORE_APPS.*'shpo'.*apps are: .*leads"):
        import_tasks_and_receivers(["shpo"])


@pytest.mark.parametrize("given", ["shop", 5, [1]])
def test_a_list_of_apps_that_is_none_is_refused(settings: Any, given: Any) -> None:
    settings.JOBS = {**settings.JOBS, "IGNORE_APPS": given}
    with pytest.raises(ImproperlyConfigured, match="'IGNORE_APPS'.*expected a list of apps' labels"):
        jobs_settings()


def test_a_task_that_stands_in_the_module_of_the_queues_is_no_queue(app: Callable[..., None], settings: Any) -> None:
    app(lanes="from jobs import Queue\nlane = Queue('strange')\n@lane.task(name='strange.job')\ndef job() -> None: ...")
    settings.JOBS = {**settings.JOBS, "QUEUES": "strange_shop.lanes"}
    assert list(queues()) == ["strange"]
    assert list(queues()["strange"].tasks) == ["strange.job"]
