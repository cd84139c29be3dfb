"""What the docs must name, they name."""

import ast
import re
from pathlib import Path

from jobs.queue import queues

ROOT = Path(__file__).resolve().parents[2]
READERS = {"text", "boolean", "integer", "seconds", "words", "choice", "web_address", "database", "mail"}


def variables_read():
    """The first argument of every `env.text("NAME")` and its like under config/settings."""
    names = set()
    for path in (ROOT / "config" / "settings").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in READERS
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                names.add(node.args[0].value)
    return names


def variables_of_the_web_server():
    """What gunicorn's parent process reads; it reads no .env file."""
    return set(re.findall(r'"(WEB_[A-Z]+)"', (ROOT / "deploy" / "gunicorn.conf.py").read_text(encoding="utf-8")))


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
    of_compose = {"POSTGRES_PASSWORD", "WEB_PORT"}
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
    # systemd's own variables are no settings: they name the socket on which it listens
    assert elsewhere == ["jobs/worker/notify.py"]


def test_every_task_is_in_the_docs_and_nothing_else_is():
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([a-z_]+)` \| ([a-z_]+) \|", text, re.MULTILINE))
    assert named == {(name.rpartition(".")[2], queue.name) for queue in queues().values() for name in queue.tasks}


def test_every_test_that_the_guarantees_name_exists():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named - there == set()
