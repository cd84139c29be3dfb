"""A stranger's test run: it ends well, and its test databases go, whatever of the engine its tests used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.databases import postgresql_server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
INSTALLED_APPS = ["jobs", "django.contrib.contenttypes", "django.contrib.auth", "shop"]
DATABASES = {{"default": {database}}}
USE_TZ = True
SECRET_KEY = "x"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
JOBS = {{"QUEUES": "shop.queues"}}
"""
QUEUES = """
from jobs import Queue
mail = Queue("mail")
"""
TASKS = """
from shop.queues import mail

@mail.task()
def welcome(name: str) -> str:
    return name
"""
TESTS = """
import threading
from django.db import connection
from django.test import TestCase, TransactionTestCase
from jobs.testing import run_jobs
from shop.tasks import welcome

class Rolled(TestCase):
    def test_in_the_tests_transaction(self):
        handle = welcome.enqueue("Ada")
        run_jobs()
        self.assertEqual(handle.result(timeout=0), "Ada")

class Committed(TransactionTestCase):
    def test_with_real_commits(self):
        handle = welcome.enqueue("Ada")
        run_jobs()
        self.assertEqual(handle.result(), "Ada")

    def test_in_threads(self):
        def work():
            welcome.enqueue("Ada")
            run_jobs()
            connection.close()
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()

class More(TransactionTestCase):
    def test_again(self):
        welcome.enqueue("Ada")
        self.assertEqual(len(run_jobs()), 1)
"""


@pytest.fixture(params=["postgresql", "sqlite"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a project that is not ours."""
    if request.param == "postgresql":
        server = postgresql_server()
        database: dict[str, object] = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "stranger",
            "HOST": "127.0.0.1",
            "PORT": server.port,
            "USER": "postgres",
        }
    else:
        name = str(tmp_path / "test.sqlite3")
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": "x.sqlite3", "TEST": {"NAME": name}}
    app = tmp_path / "shop"
    app.mkdir()
    for file, text in (
        ("../settings.py", SETTINGS.format(database=database)),
        ("__init__.py", ""),
        ("queues.py", QUEUES),
        ("tasks.py", TASKS),
        ("tests.py", TESTS),
        ("../pytest.ini", "[pytest]\nDJANGO_SETTINGS_MODULE = settings\npython_files = tests.py\n"),
    ):
        (app / file).write_text(text)
    return tmp_path


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{project}", "DJANGO_SETTINGS_MODULE": "settings"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_nothing_left(project: Path) -> None:
    assert {path.name for path in project.iterdir() if "sqlite3" in path.name} == set()
    with psycopg.connect(postgresql_server().url()) as connection:
        names = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE '%stranger%'").fetchall()
    assert names == []


def test_djangos_runner_ends_well(project: Path) -> None:
    done = run(project, "django", "test", "--noinput")
    assert done.returncode == 0, done.stderr
    assert "Ran 4 tests" in done.stderr
    assert_nothing_left(project)


@pytest.mark.parametrize(
    "words",
    [
        ("django", "test", "--noinput", "--parallel", "2"),
        ("django", "test", "--noinput", "--reverse"),
        ("pytest", "-q", "-p", "no:cacheprovider", "shop"),
    ],
    ids=["parallel", "reverse", "pytest"],
)
def test_other_runners_end_well_too(project: Path, words: tuple[str, ...]) -> None:
    done = run(project, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_nothing_left(project)
