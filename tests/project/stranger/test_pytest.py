"""The plugin of pytest that the wheel brings along: fixtures for who uses jobs, nothing for anybody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Project
from .test_project import CODE, SETTINGS

TESTS = """
from datetime import timedelta
from django.utils import timezone
from jobs.testing import Drained
from shop.tasks import send_letter


def test_with_the_fixtures(jobs_runner, jobs_clock):
    handle = send_letter.using(delay=timedelta(days=1)).enqueue(7, "ada@example.org")
    jobs_runner.assert_enqueued(send_letter.using(delay=timedelta(days=1)), 7, "ada@example.org")
    jobs_clock.move(timedelta(days=2))
    assert timezone.now() - handle.job.created_at > timedelta(days=2)
    assert jobs_runner.drain() == Drained(completed=1)
"""
ALONE = """
import sys

def test_without_django(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("esteira")
    assert {"django", "jobs"} & set(sys.modules) == set()
"""


@pytest.mark.slow
def test_an_installed_project_has_the_fixtures_and_may_name_the_module_all_the_same(project: Project) -> None:
    for name, code in CODE.items():
        project.write(f"shop/{name}.py", code)
    project.write("test_shop.py", TESTS)
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--ds=shop.settings", "test_shop.py")
    with project.having(SETTINGS):
        for conftest in ("", 'pytest_plugins = ["jobs.testing"]\n'):
            project.write("conftest.py", conftest)
            done = project.run(*words)
            assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_project_without_django_is_not_disturbed(site: Path, tmp_path: Path) -> None:
    other = Project(tmp_path, site)
    other.write("test_alone.py", ALONE)
    done = other.run("-m", "pytest", "-q", "-p", "no:django", "-p", "no:cacheprovider", "test_alone.py")
    assert "1 passed" in done.stdout, done.stdout + done.stderr
