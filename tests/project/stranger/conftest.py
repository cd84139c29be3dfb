"""The wheel, and projects of people who have installed it and know nothing of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Project:
    """A project made by `startproject shop`; the wheel is its only way to the engine."""

    folder: Path
    site: Path

    @property
    def environment(self) -> dict[str, str]:
        # no bytecode: a settings file that changes twice a second may keep its size
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1"}

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    @contextmanager
    def having(self, text: str) -> Iterator[None]:
        """With these settings beside those that Django wrote."""
        path = self.folder / "shop" / "settings.py"
        before = path.read_text(encoding="utf-8")
        path.write_text(f"{before}\n{text}\n", encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment | variables
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def manage(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("manage.py", *words, **variables)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: what lies about in a checkout is no part of it, and nothing is left in it."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel is installed: pip does no more with a wheel that is Python alone."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def project(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """`startproject shop` in an empty folder, with Django's own settings."""
    made = Project(tmp_path_factory.mktemp("shop"), site)
    done = made.run("-m", "django", "startproject", "shop", ".")
    assert done.returncode == 0, done.stderr
    return made
