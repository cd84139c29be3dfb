"""The code in the docs runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from huey import crontab

from jobs import Event, EventSignal, Exponential, Queue, RateLimit, receives
from jobs.testing import assert_enqueued, run_jobs
from leads.models import Lead, LeadStatus, Organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead():
    return Lead.objects.create(organization=Organization.objects.create(name="Acme", slug="acme"), name="Ada")

"""


@pytest.mark.parametrize("document", ["README.md", "docs/add-a-queue-task-event.md"])
def test_the_example_of_a_queue_a_task_and_an_event_runs(document, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)
    module = tmp_path / "test_example.py"
    module.write_text(HEAD + "\n\n".join(blocks), encoding="utf-8")
    env = {**os.environ, "TEST_DATABASE_NAME": str(tmp_path / "example.sqlite3")}
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    ended = subprocess.run([*command, str(module)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert re.search(r"^1 passed", ended.stdout, re.MULTILINE), ended.stdout + ended.stderr


def test_every_link_of_the_docs_leads_to_a_file():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
            assert "://" in target or (document.parent / target).exists(), f"{document.name} links to {target}"
