"""What deploy/Dockerfile says, so that tests can do it without a Docker engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Each instruction with what follows it, in order; remarks are left out, lines continued."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [" ".join(line.split()) for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, without its FROM."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        else:
            found[-1].append((word, rest))
    return found


def exec_form(word: str, stage: int = -1) -> list[str]:
    """The words of a CMD or ENTRYPOINT; fails where it is a shell's line."""
    (rest,) = [rest for name, rest in stages()[stage] if name == word]
    words: list[str] = json.loads(rest)
    return words


def copy_release(folder: Path) -> None:
    """Copy what the build stage copies, and nothing else."""
    for word, rest in stages()[0]:
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                there = folder / source if target.endswith("/") else folder / target
                there.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__", "dev"))
                else:
                    shutil.copy(ROOT / source, there)


def collect_static(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the build stage's collectstatic with the variables that stand before it, and no others."""
    (line,) = [rest for word, rest in stages()[0] if word == "RUN" and "collectstatic" in rest]
    words = shlex.split(line.partition("&&")[0])
    given = dict(word.split("=", 1) for word in words if "=" in word and not word.startswith("-"))
    command = [sys.executable, *words[words.index("manage.py") :]]
    environment = {"PATH": os.environ["PATH"], **given}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
