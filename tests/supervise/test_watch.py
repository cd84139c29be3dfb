from __future__ import annotations

import os
from pathlib import Path

from jobs.supervise.watch import CodeWatch


def settled_answer(watch: CodeWatch) -> str:
    """The answer to the second look: the first one sees the change and waits until nothing changes any more."""
    assert watch.changed() == ""
    return watch.changed()


def test_nothing_changed_is_an_empty_answer(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    assert settled_answer(CodeWatch(tmp_path)) == ""


def test_changed_new_and_deleted_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "a.py").write_text("1")
    watch = CodeWatch(tmp_path)
    (tmp_path / "app" / "a.py").write_text("12")
    assert settled_answer(watch) == os.path.join("app", "a.py")
    (tmp_path / "app" / "page.html").write_text("new")
    assert settled_answer(watch) == os.path.join("app", "page.html")
    (tmp_path / "app" / "a.py").unlink()
    assert settled_answer(watch) == os.path.join("app", "a.py")
    assert watch.changed() == ""


def test_environments_caches_and_var_are_not_watched(tmp_path: Path) -> None:
    for name in (".venv", "var", "__pycache__", ".git"):
        (tmp_path / name).mkdir()
    watch = CodeWatch(tmp_path)
    for name in (".venv", "var", "__pycache__", ".git"):
        (tmp_path / name / "a.py").write_text("1")
    (tmp_path / "notes.sqlite3").write_text("data")
    assert settled_answer(watch) == ""
