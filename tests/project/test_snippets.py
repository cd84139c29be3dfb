"""The code in the docs runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib import admin
from django.urls import resolve

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from huey import crontab

from jobs import Batch, Breaker, Event, EventSignal, Exponential, Limit, Queue, RateLimit, chain, current_job, receives
from jobs.testing import assert_enqueued, run_jobs
from leads.models import Lead, LeadStatus
from accounts.models import Organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead():
    return Lead.objects.create(organization=Organization.objects.create(name="Acme", slug="acme"), name="Ada")

"""


#: The pages whose examples run, in runs of pages that call no queue by the same name.
RUNS = (
    ("README.md",),
    ("docs/add-a-queue-task-event.md",),
    ("docs/change-jobs.md",),
    (
        "docs/events.md",
        "docs/flows.md",
        "docs/groups.md",
        "docs/inside-a-task.md",
        "docs/limits.md",
        "docs/schedules.md",
        "docs/testing.md",
        "docs/why.md",
    ),
)


def name_of(document):
    """The module of a page's examples."""
    return "test_" + re.sub(r"\W", "_", document)


def code_of(document):
    return "\n\n".join(re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL))


@pytest.mark.parametrize(
    "documents",
    [RUNS[0], *(pytest.param(run, marks=pytest.mark.slow) for run in RUNS[1:])],
    ids=lambda documents: documents[0],
)
def test_the_examples_of_the_pages_run(documents, tmp_path):
    for document in documents:
        (tmp_path / f"{name_of(document)}.py").write_text(HEAD + code_of(document), encoding="utf-8")
    env = {**os.environ, "TEST_DATABASE_NAME": str(tmp_path / "example.sqlite3")}
    command = [sys.executable, "-m", "pytest", "-rA", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    # the plugin that an installed wheel brings along
    command += ["-p", "pytest_esteira"]
    ended = subprocess.run([*command, str(tmp_path)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    for document in documents:
        tests = len(re.findall(r"^ *def test_", code_of(document), re.MULTILINE))
        passed = re.findall(rf"^PASSED \S*{name_of(document)}\.py", ended.stdout, re.MULTILINE)
        assert len(passed) == tests > 0, ended.stdout + ended.stderr


DOCUMENTS = [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]+))?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_the_docs_leads_to_a_file_and_to_a_heading_in_it(document):
    for name, heading in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in name:
            continue
        target = document.parent / name if name else document
        assert target.exists(), f"{document.name} links to {name}"
        assert not heading or heading in anchors(target), f"{document.name} links to {name}#{heading}"


def anchors(document):
    """What GitHub calls each heading."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_address_in_the_docs_is_one_of_the_site(document):
    named = re.findall(r"`(/(?:accounts|admin|api|forms|mail|notifications)/[\w/-]*)`", document.read_text("utf-8"))
    nowhere = f"{admin.site.name}:{admin.site.catch_all_view.__module__}.catch_all_view"
    assert [address for address in named if resolve(address).view_name == nowhere] == []


@pytest.mark.slow
def test_the_example_of_one_job_for_many_calls_runs(tmp_path):
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8").split("## One job for many calls")[1]
    (block,) = re.findall(r"```python\n(.*?)```", text.split("\n## ")[0], re.DOTALL)
    module = tmp_path / "test_example.py"
    module.write_text(HEAD.replace("pytestmark = pytest.mark.django_db\n", "") + block, encoding="utf-8")
    env = {**os.environ, "TEST_DATABASE_NAME": str(tmp_path / "example.sqlite3")}
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    ended = subprocess.run([*command, str(module)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert re.search(r"^1 passed", ended.stdout, re.MULTILINE), ended.stdout + ended.stderr
