"""What the docs must name, they name."""

import os
import pkgutil
import re
import shlex
import subprocess
import sys
from functools import cache

import pytest
from django.apps import apps

from jobs.defined import queues

from .deployment import ROOT
from .variables import variables_of_the_web_server, variables_read


def test_every_variable_is_explained_in_the_docs_and_nothing_else_is():
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert {name for cell in cells for name in re.findall(r"`([A-Z_]+)`", cell)} == (
        variables_read() | variables_of_the_web_server()
    )


def test_every_variable_has_a_line_in_the_example_file():
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for_other_places = {"ENV_FILE", "TEST_DATABASE_URL", "TEST_DATABASE_NAME"}
    assert set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)) == variables_read() - for_other_places


def test_the_example_files_of_deploy_set_only_variables_that_something_reads():
    of_compose = {"POSTGRES_PASSWORD", "WEB_PORT", "COMPOSE_PROFILES", "REDIS_MAXMEMORY"}
    for path in (ROOT / "deploy").rglob("*.env.example"):
        set_there = set(re.findall(r"^([A-Z_]+)=", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert set_there
        assert set_there - variables_read() - variables_of_the_web_server() - of_compose == set(), path.name


def test_only_the_settings_read_the_environment():
    elsewhere = [
        str(path.relative_to(ROOT))
        for app in ("jobs", "leads", "notifications", "emails")
        for path in (ROOT / app).rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    ]
    # no settings: systemd names its socket there, and a child or a runner gets its own with a mark in it
    assert sorted(elsewhere) == ["jobs/supervise/children.py", "jobs/supervise/systemd.py", "jobs/work/isolated.py"]


def test_every_task_is_in_the_docs_and_nothing_else_is():
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([a-z_]+)` \| ([a-z_]+) \|", text, re.MULTILINE))
    assert named == {(name.rpartition(".")[2], queue.name) for queue in queues().values() for name in queue.tasks}


OURS = "accounts|admin_lists|bench|config|emails|jobs|leads|notifications|tests"
DOCUMENTS = [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_and_every_name_of_ours_that_the_docs_name_exists(document):
    quoted = re.findall(r"`([^`\n]+)`", document.read_text(encoding="utf-8"))
    files = {name for name in quoted if re.fullmatch(rf"(?:{OURS})/[\w/.-]*", name) and "NAME" not in name}
    assert [name for name in files if not (ROOT / name).exists()] == []
    tasks = {name for queue in queues().values() for name in queue.tasks}
    dotted = {found[1] for name in quoted if (found := re.match(rf"((?:{OURS})(?:\.\w+)+)", name))}
    names = {name for name in dotted - tasks if not name.startswith("leads.example")}
    assert [name for name in names - permissions() if not leads_somewhere(name)] == []


def permissions():
    """Of every model, with its app in front."""
    return {
        f"{model._meta.app_label}.{name}"
        for model in apps.get_models()
        for name in (
            *(f"{action}_{model._meta.model_name}" for action in model._meta.default_permissions),
            *(name for name, _text in model._meta.permissions),
        )
    }


def leads_somewhere(name):
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def guarantees():
    return (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")


@cache
def selected(*words):
    """The tests that pytest would run with these words, with their parameters."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *words]
    ours = {name: value for name, value in os.environ.items() if name not in {"PYTEST_ADDOPTS", "TEST_DATABASE_URL"}}
    done = subprocess.run(command, cwd=ROOT, env=ours, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return set(re.findall(r"::(test_.+)", done.stdout))


def names(tests):
    return {test.partition("[")[0] for test in tests}


def run_by_the_command_of_the_guarantees(*named):
    """What its words select for any of these names."""
    ((python, words),) = re.findall(r"`(\S+python) -m pytest (.*)NAME` runs it in all", guarantees())
    assert python == ".venv/bin/python"
    return selected(*shlex.split(words), " or ".join(named))


def named_in_the_guarantees():
    return set(re.findall(r"`(test_\w+)`", guarantees()))


@pytest.mark.slow
def test_every_test_that_the_guarantees_name_is_run_by_their_command():
    named = named_in_the_guarantees()
    assert len(named) > 100
    assert named - names(run_by_the_command_of_the_guarantees(*named)) == set()


@pytest.mark.slow
def test_every_form_that_ci_leaves_out_is_told_in_the_guarantees_and_run_by_their_command():
    assert "make faults ARGS=\"-q -n 3 --durations=10 -m 'slow and not long'\"" in (ROOT / ".ci" / "run").read_text(
        encoding="utf-8"
    )
    told = set(re.findall(r"^\* `(test_\w+)` \([^)]*`make faults`: ", guarantees(), re.MULTILINE))
    left_out = {test for test in selected("-m", "long", "tests/faults") if names([test]) <= named_in_the_guarantees()}
    assert names(left_out) == told
    assert left_out - run_by_the_command_of_the_guarantees(*told) == set()
