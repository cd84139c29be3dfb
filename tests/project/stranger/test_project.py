"""A stranger's project: `startproject`, the wheel, a queue and a task; then workers, results and the admin."""

from __future__ import annotations

import ast
import dataclasses
import os
import re

import pytest

import jobs as jobs_surface
from jobs.conf import JobsSettings

from .conftest import ROOT, Project

PAGE = (ROOT / "docs" / "your-project.md").read_text(encoding="utf-8")
#: The code of the page, by the file that its first line names.
CODE = dict(re.findall(r"```python\n# shop/(\w+)\.py\n(.*?)```", PAGE, re.DOTALL))
SETTINGS = CODE.pop("settings")
#: What a person does with it, in one process: each line would fail by itself.
DAY = """
import os, subprocess, sys
sys.modules["redis"] = sys.modules["psycopg"] = None  # neither is needed
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
import django
django.setup()
import jobs
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from shop.operate import tidy_up
from shop.orders import place_order

assert jobs.__file__.startswith(os.environ["PYTHONPATH"]), jobs.__file__
call_command("migrate", verbosity=0)
call_command("check", fail_level="WARNING")
call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
workers = subprocess.Popen([sys.executable, "manage.py", "run_huey"])
try:
    print("result", place_order(7, "ada@example.org").result(timeout=20))
    broken = place_order(8, "nowhere")
    try:
        broken.result(timeout=20)
    except jobs.JobFailed as error:
        print("failed", "no address" in str(error))
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("ana"))
    for path in ("/admin/", "/admin/jobs/", "/admin/jobs/job/", f"/admin/jobs/job/{broken.id}/change/"):
        page = client.get(path, follow=True)
        print(path.split("/")[-2], page.status_code, "no address" in page.content.decode())
    counts = jobs.counts("letters")
    print("counts", counts.completed, counts.dead_letters, counts.scheduled)
finally:
    workers.terminate()
    print("workers", workers.wait(timeout=30))
print("tidied", tidy_up(str(broken.id)), broken.state)
call_command("jobs", "status")
from django.utils import translation
translation.activate("pt-br")
call_command("jobs", "status")
print(client.get("/admin/jobs/job/", headers={"accept-language": "pt-br"}).status_code)
"""


@pytest.fixture(autouse=True)
def _with_a_queue_and_tasks(project: Project) -> None:
    for name, code in CODE.items():
        project.write(f"shop/{name}.py", code)
    project.write("day.py", DAY)


@pytest.mark.slow
def test_a_stranger_s_project_runs_the_engine_from_the_wheel(project: Project) -> None:
    with project.having(SETTINGS):
        done = project.run("day.py")
    assert done.returncode == 0, done.stdout + done.stderr
    pages = ("admin 200 False", "job 200 True", "change 200 True")
    for line in ("result {'sent': 7}", "failed True", *pages, "counts 1 1 2", "workers 0", "tidied 1 queued"):
        assert line in done.stdout.splitlines(), done.stdout + done.stderr
    english, _heads, portuguese = done.stdout.rpartition("tidied")[2].partition("fila")
    assert "oldest waiting" in english
    assert "espera mais longa" in portuguese, "the engine brings its own translations"


@pytest.mark.slow
def test_the_page_s_tests_of_a_project_pass_with_django_s_own_runner(project: Project) -> None:
    with project.having(SETTINGS):
        done = project.manage("test")
    assert "Ran 2 tests" in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


def test_every_key_of_the_settings_is_explained_on_the_page_with_its_default() -> None:
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE))
    keys = {field.name.upper(): field.default for field in dataclasses.fields(JobsSettings)}
    assert {key: ast.literal_eval(default) for key, default in told.items()} == {
        key: list(default) if isinstance(default, tuple) else default for key, default in keys.items()
    }


def test_every_name_of_the_surface_is_told_on_the_page_or_in_the_guide_to_events() -> None:
    pages = PAGE + (ROOT / "docs" / "add-a-queue-task-event.md").read_text(encoding="utf-8")
    assert [name for name in jobs_surface.__all__ if not re.search(rf"\b{name}\b", pages)] == []


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ({"LEASE": 0}, "JOBS_LEASE=0: expected seconds between 1 and 86400 (a day)"),
        ({"GRASE": 5}, "JOBS['GRASE'] is not a setting; did you mean 'GRACE'?"),
        ({"QUEUES": "shop.kews"}, "JOBS['QUEUES']='shop.kews': there is no such module"),
        ({"QUEUES": "shop.wrong"}, "shop/wrong.py, line 2)"),
    ],
)
@pytest.mark.slow
def test_a_wrong_setting_ends_the_workers_with_one_sentence_under_anybody_s_manage_py(
    project: Project, jobs: dict[str, object], said: str
) -> None:
    project.write("shop/wrong.py", "from jobs import Queue\nletters = Queue('letters', attempts=0)\n")
    with project.having(f"{SETTINGS}\nJOBS |= {jobs!r}"):
        ended = project.manage("run_huey")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (os.EX_CONFIG, 1), ended.stderr
    assert said in ended.stderr


def test_the_admin_without_its_lists_is_an_error_of_the_checks_that_says_what_to_add(project: Project) -> None:
    with project.having(f'{SETTINGS}\nINSTALLED_APPS.remove("admin_lists")'):
        ended = project.manage("check")
    assert ended.returncode == 1
    assert "(jobs.E004)" in ended.stderr
    assert "add it to INSTALLED_APPS" in ended.stderr


@pytest.mark.slow
def test_the_engine_runs_without_admin_users_and_sessions(project: Project) -> None:
    bare = 'INSTALLED_APPS = ["jobs", "shop"]\nMIDDLEWARE = []\nTEMPLATES = []'
    database = f'DATABASES["default"]["NAME"] = {str(project.folder / "bare.sqlite3")!r}'
    code = (
        "import django; django.setup(); from django.core.management import call_command as call\n"
        "call('check', tags=['jobs']); call('migrate', verbosity=0)\n"
        "import jobs; from shop.tasks import send_letter; from jobs.testing import run_jobs\n"
        "handle = send_letter.enqueue(7, 'a@b'); jobs.pause('letters'); jobs.resume('letters'); run_jobs()\n"
        "print(handle.result(timeout=0), jobs.clean('letters', 'completed', __import__('datetime').timedelta(0)))\n"
        "call('jobs', 'status')"
    )
    with project.having(f"{SETTINGS}\n{bare}\n{database}"):
        done = project.run("-c", code, DJANGO_SETTINGS_MODULE="shop.settings")
    assert done.stdout.splitlines()[1] == "{'sent': 7} 1", done.stdout + done.stderr
