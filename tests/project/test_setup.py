"""`.ci/setup`, which every `make` target calls: on machines as they are found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def machine(tmp_path):
    """A PATH with the usual tools and only those Pythons that a test puts there."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "cmp", "cp", "rm", "cat", "basename", "dirname", "mktemp", "env"):
        for folder in ("/bin", "/usr/bin"):
            if (Path(folder) / name).exists() and not (tools / name).exists():
                (tools / name).symlink_to(Path(folder) / name)
    (tmp_path / "lock.txt").write_text("# nothing\n", encoding="utf-8")

    class Machine:
        folder = tmp_path / "env"

        def has(self, name, script):
            path = tools / name
            path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            path.chmod(0o755)

        def set_up(self, **variables):
            command = [str(ROOT / ".ci" / "setup"), str(tmp_path / "lock.txt"), str(self.folder)]
            env = {"PATH": str(tools), "HOME": str(tmp_path), **variables}
            return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)

    return Machine()


REAL = f'exec "{getattr(sys, "_base_executable", sys.executable)}" "$@"'
WITHOUT_ENSUREPIP = f"""
case "$*" in *"import ensurepip"*) exit 1;; *"venv --without-pip"*) ;; *"-m venv"*) mkdir -p "$3/bin"; exit 1;; esac
{REAL}"""
WITHOUT_VENV = f"""
case "$*" in *"import ensurepip"*|*"-m pip"*|*"import pip"*) exit 1;; esac
case "$*" in *"-m venv"*) mkdir -p "$3/bin"; echo broken >"$3/bin/python"; exit 1;; esac
{REAL}"""


@pytest.mark.slow
def test_interpreter_that_is_found_but_does_not_run_is_passed_over(machine):
    machine.has("python3.14", "exit 127")
    machine.has("python3.11", REAL)
    ended = machine.set_up()
    assert ended.returncode == 0, ended.stderr
    assert "(python3.11)" in ended.stderr
    assert (machine.folder / "bin" / "python").exists()


@pytest.mark.slow
def test_second_call_does_nothing_until_the_lock_changes(machine):
    machine.has("python3", REAL)
    machine.set_up()
    assert machine.set_up().stderr == ""
    (machine.folder.parent / "lock.txt").write_text("# something else\n", encoding="utf-8")
    assert "Installing" in machine.set_up().stderr


@pytest.mark.slow
def test_variables_that_would_lead_pip_astray_are_ignored(machine):
    machine.has("python3", REAL)
    ended = machine.set_up(PIP_USER="1", PIP_TARGET="/nowhere", PYTHONPATH="/nowhere", PIP_PREFIX="/nowhere")
    assert ended.returncode == 0, ended.stderr


def test_python_without_venv_leaves_one_sentence_and_no_folder(machine):
    machine.has("python3", WITHOUT_VENV)
    ended = machine.set_up()
    assert ended.returncode == 1
    assert "Install python3-venv" in ended.stderr
    assert not machine.folder.exists()


@pytest.mark.slow
def test_python_that_makes_no_pip_is_filled_by_the_systems_pip(machine):
    machine.has("python3", WITHOUT_ENSUREPIP)
    ended = machine.set_up()
    assert ended.returncode == 0, ended.stderr
    assert (machine.folder / ".pip-outside").exists()
    assert machine.set_up().stderr == ""


def test_no_python_is_one_sentence_with_the_remedy(machine):
    ended = machine.set_up()
    assert ended.returncode == 1
    assert "none of those was found" in ended.stderr
    assert not machine.folder.exists()


@pytest.mark.slow
def test_install_that_fails_leaves_no_folder(machine):
    machine.has("python3", REAL)
    (machine.folder.parent / "lock.txt").write_text("./not-there==1.0\n", encoding="utf-8")
    ended = machine.set_up()
    assert ended.returncode == 1
    assert "Installing failed" in ended.stderr
    assert not machine.folder.exists()


@pytest.mark.slow
def test_half_made_folder_is_made_anew(machine):
    machine.has("python3", REAL)
    (machine.folder / "bin").mkdir(parents=True)
    (machine.folder / "bin" / "python").write_text("broken", encoding="utf-8")
    assert machine.set_up().returncode == 0
    python = str(machine.folder / "bin" / "python")
    assert subprocess.run([python, "-c", "import pip"], env={"PATH": os.environ["PATH"]}, timeout=60).returncode == 0
