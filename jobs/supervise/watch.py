"""Notices that the project's own files have changed, for a restart in development."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIXES = (".py", ".html", ".txt", ".mo", ".sql", ".lua")
SKIPPED = {"__pycache__", "node_modules", "venv", "var"}


class CodeWatch:
    """Looks at the times of files below `root`; hidden folders, environments and `var` are left out."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._folders: dict[str, int] = {}
        self._files: dict[str, tuple[int, int]] = {}
        self._unsettled = ""
        self._scan()

    def changed(self) -> str:
        """A file that has changed since the last answer, once nothing changes any more; else an empty text.

        Cheap: known files and folders are looked at one by one; the tree is walked only if a folder has changed.
        """
        before = self._files
        if any(_time_of(folder) != time for folder, time in self._folders.items()):
            self._scan()
        else:
            self._files = {path: _state_of(path) for path in before}
        if self._files != before:
            paths = before.keys() | self._files.keys()
            self._unsettled = min(path for path in paths if before.get(path) != self._files.get(path))
            return ""
        settled, self._unsettled = self._unsettled, ""
        return os.path.relpath(settled, self._root) if settled else ""

    def _scan(self) -> None:
        self._folders, self._files = {}, {}
        for folder, folders, files in os.walk(self._root):
            folders[:] = [name for name in folders if name not in SKIPPED and not name.startswith(".")]
            self._folders[folder] = _time_of(folder)
            for name in files:
                if name.endswith(SUFFIXES):
                    path = os.path.join(folder, name)
                    self._files[path] = _state_of(path)


def _time_of(path: str) -> int:
    return _state_of(path)[0]


def _state_of(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
