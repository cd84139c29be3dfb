"""Where the systems live: each in a folder of its own under var/peers, never among this project's dependencies."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from .stores import Missing

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "peers"
AGENTS = Path(__file__).resolve().parent / "agents"
LONGEST = 300.0


class Environment(Protocol):
    """What a system needs in order to run."""

    def set_up(self) -> Path:
        """Install it unless it is there, and answer the program that runs its code; raises `Missing`."""


@dataclass(frozen=True)
class PythonPackages:
    """A virtual environment with these packages, on the newest Python of this machine."""

    name: str
    packages: Sequence[str]

    def set_up(self) -> Path:
        """See `Environment`."""
        folder = FOLDER / self.name
        stamp, program = folder / ".ready", folder / "bin" / "python"
        wanted = " ".join([newest_python(), *self.packages])
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            _run([newest_python(), "-m", "venv", str(folder)])
            _run([str(program), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *self.packages])
            stamp.write_text(wanted)
        return program


@dataclass(frozen=True)
class ThisProject:
    """The checkout itself with its locked dependencies, on the same Python as the others, and these packages."""

    packages: Sequence[str] = ()

    def set_up(self) -> Path:
        """See `Environment`."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        folder = FOLDER / "esteira"
        _run([str(ROOT / ".ci" / "setup"), "requirements.txt", str(folder)], PYTHON=newest_python())
        program = folder / "bin" / "python"
        _run([str(program), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *self.packages])
        return program


@dataclass(frozen=True)
class NodePackages:
    """A folder of Node modules."""

    name: str
    packages: Sequence[str]

    def set_up(self) -> Path:
        """See `Environment`."""
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise Missing("there is no Node with npm on this machine (Debian: nodejs, npm)")
        folder = FOLDER / self.name
        stamp, wanted = folder / ".ready", " ".join(self.packages)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
            _run([npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", *self.packages])
            stamp.write_text(wanted)
        # a module is looked for beside the file that imports it
        for agent in AGENTS.glob("*.mjs"):
            shutil.copy(agent, folder)
        return Path(node)


@cache
def python_version() -> str:
    """Of the newest Python."""
    return ".".join(map(str, _version(newest_python())))


@cache
def newest_python() -> str:
    """The newest Python of this machine that really runs, has what a virtual environment needs and is a release."""
    places = [shutil.which(f"python3.{minor}") for minor in range(14, 10, -1)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    versions = [path / "bin" / "python3" for path in pyenv.glob("3.1[1-4].*") if re.fullmatch(r"[\d.]+", path.name)]
    found = [(version, place) for place in [*filter(None, places), *map(str, versions)] if (version := _version(place))]
    return max(found, default=((0,), sys.executable))[1]


def _version(program: str) -> tuple[int, ...]:
    code = "import ssl, sqlite3, ensurepip, sys; print(*sys.version_info[:3])"
    done = subprocess.run([program, "-I", "-c", code], capture_output=True, text=True, timeout=20, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


def _run(command: Sequence[str], **variables: str) -> None:
    """Run an installer; raises `Missing` with the last line that says why."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{Path(command[0]).name}: {error}") from error
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        told = next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "no word why")
        raise Missing(f"it cannot be installed: {told.strip()[:300]}")
