"""A stranger's project with Django's own tasks, as docs/django-tasks.md writes it: workers, results and its tests."""

from __future__ import annotations

import re

import django
import pytest

from .conftest import ROOT, Project

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "django-tasks.md").read_text(encoding="utf-8")
#: The code of the page, by the file that its first line names.
CODE = dict(re.findall(r"```python\n# shop/(\w+)\.py\n(.*?)```", PAGE, re.DOTALL))
DAY = """
import os, subprocess, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
import django
django.setup()
from django.core.management import call_command
from shop.orders import place_order

call_command("migrate", verbosity=0)
call_command("check", fail_level="WARNING")
workers = subprocess.Popen([sys.executable, "manage.py", "run_huey"])
try:
    results = place_order(7)
    until = time.monotonic() + 40
    while time.monotonic() < until and not all(result.is_finished for result in results):
        time.sleep(0.05)
        for result in results:
            result.refresh()
    for result in results:
        print(result.task.name, result.status.value, result.attempts, result.return_value)
    print(results[1].errors[0].exception_class_path, results[1].metadata)
finally:
    workers.terminate()
    print("workers", workers.wait(timeout=30))
call_command("jobs", "list", "--state", "scheduled")
"""


@pytest.fixture
def settings(project: Project) -> str:
    """Those of the page; on Django 5.2 with the backport, as the page says."""
    code = dict(CODE)
    text = code.pop("settings")
    if django.VERSION < (6, 0):
        text = text.replace('["jobs"', '["django_tasks", "jobs"', 1)
        code = {name: one.replace("from django.tasks", "from django_tasks") for name, one in code.items()}
    for name, one in code.items():
        project.write(f"shop/{name}.py", one)
    project.write("day.py", DAY)
    return text


def test_django_s_tasks_run_in_a_stranger_s_workers(project: Project, settings: str) -> None:
    with project.having(settings):
        done = project.run("day.py")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "send_letter SUCCESSFUL 1 {'sent': 7}" in lines, done.stdout + done.stderr
    assert "count_words SUCCESSFUL 2 4" in lines, done.stdout + done.stderr
    assert "builtins.ValueError {'order': 7}" in lines
    assert "workers 0" in lines
    assert "shop.tasks.send_letter" in done.stdout.partition("workers 0")[2]


def test_the_page_s_tests_pass_with_django_s_own_runner(project: Project, settings: str) -> None:
    with project.having(settings):
        done = project.manage("test")
    assert "Ran 1 test" in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


if django.VERSION < (6, 0):

    def test_without_a_framework_the_backend_says_what_to_install(project: Project, settings: str) -> None:
        start = "import sys, django; sys.modules['django_tasks'] = None; django.setup()"
        with project.having(CODE["settings"]):
            ended = project.run("-c", start, DJANGO_SETTINGS_MODULE="shop.settings")
        assert "install its backport (pip install 'django-tasks>=0.12'), or use Django 6" in ended.stderr
