"""A stranger's project: `startproject`, the wheel, a queue and a task; then workers, results and the admin."""

from __future__ import annotations

import os

import pytest

from .conftest import Project

APPS = 'INSTALLED_APPS = ["jobs", "admin_lists", "shop", *INSTALLED_APPS]'
QUEUES = """
from jobs import Fixed, Queue, counts, pause

letters = Queue("letters", attempts=2, backoff=Fixed(0))
"""
TASKS = """
from jobs import current_job
from .queues import letters

@letters.task()
def add(one: int, other: int) -> int:
    return one + other

@letters.task()
def break_down() -> None:
    raise ValueError("no such letter")
"""
#: What a person does with it, in one process: each line would fail by itself.
DAY = """
import os, subprocess, sys
sys.modules["redis"] = sys.modules["psycopg"] = None  # neither is needed
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
import django
django.setup()
import jobs, jobs.signals
from django.core.management import call_command
from jobs import JobFailed, ResultTimeout
from shop.tasks import add, break_down

assert "site-packages" not in jobs.__file__ and jobs.__file__.startswith(os.environ["PYTHONPATH"]), jobs.__file__
call_command("migrate", verbosity=0)
call_command("check", fail_level="ERROR")
workers = subprocess.Popen([sys.executable, "manage.py", "run_huey"])
try:
    print("sum", add.enqueue(2, 3).result(timeout=20))
    broken = break_down.enqueue()
    try:
        broken.result(timeout=20)
    except JobFailed as error:
        print("failed", "no such letter" in str(error))
    assert add.using(delay=60).enqueue(1, 1).shown_state == "scheduled"
    from django.contrib.auth.models import User
    from django.test import Client
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("ana"))
    for path in ("/admin/", "/admin/jobs/", "/admin/jobs/job/", f"/admin/jobs/job/{broken.id}/change/"):
        page = client.get(path, follow=True)
        print(path.split("/")[-2], page.status_code, "no such letter" in page.content.decode())
    print("counts", jobs.counts("letters").completed, jobs.counts("letters").dead_letters)
finally:
    workers.terminate()
    print("workers", workers.wait(timeout=30))
call_command("jobs", "status")
"""


@pytest.fixture(autouse=True)
def _with_a_queue_and_tasks(project: Project) -> None:
    project.write("shop/queues.py", QUEUES)
    project.write("shop/tasks.py", TASKS)
    project.write("day.py", DAY)


def test_a_stranger_s_project_runs_the_engine_from_the_wheel(project: Project) -> None:
    with project.having(f'{APPS}\nJOBS = {{"QUEUES": "shop.queues"}}'):
        done = project.run("day.py")
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "sum 5",
        "failed True",
        "admin 200 False",
        "job 200 True",
        "change 200 True",
        "counts 1 1",
        "workers 0",
    ):
        assert line in done.stdout.splitlines(), done.stdout + done.stderr
    assert "letters" in done.stdout.rpartition("workers 0")[2]


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ({"LEASE": 0}, "JOBS_LEASE=0: expected seconds between 1 and 86400 (a day)"),
        ({"GRASE": 5}, "JOBS['GRASE'] is not a setting; did you mean 'GRACE'?"),
        ({"QUEUES": "shop.kews"}, "JOBS['QUEUES']='shop.kews': there is no such module"),
        ({"QUEUES": "shop.wrong"}, "shop/wrong.py, line 2)"),
    ],
)
def test_a_wrong_setting_ends_the_workers_with_one_sentence_under_anybody_s_manage_py(
    project: Project, jobs: dict[str, object], said: str
) -> None:
    project.write("shop/wrong.py", "from jobs import Queue\nletters = Queue('letters', attempts=0)\n")
    with project.having(f"{APPS}\nJOBS = { ({'QUEUES': 'shop.queues'} | jobs)!r}"):
        ended = project.manage("run_huey")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (os.EX_CONFIG, 1), ended.stderr
    assert said in ended.stderr


def test_the_admin_without_its_lists_is_an_error_of_the_checks_that_says_what_to_add(project: Project) -> None:
    with project.having(f'{APPS}\nINSTALLED_APPS.remove("admin_lists")\nJOBS = {{"QUEUES": "shop.queues"}}'):
        ended = project.manage("check")
    assert ended.returncode == 1
    assert "(jobs.E004)" in ended.stderr
    assert "add it to INSTALLED_APPS" in ended.stderr


def test_the_engine_runs_without_admin_users_and_sessions(project: Project) -> None:
    bare = 'INSTALLED_APPS = ["jobs", "shop"]\nMIDDLEWARE = []\nTEMPLATES = []'
    database = f'DATABASES["default"]["NAME"] = {str(project.folder / "bare.sqlite3")!r}'
    code = (
        "import django; django.setup(); from django.core.management import call_command as call\n"
        "call('check', tags=['jobs']); call('migrate', verbosity=0)\n"
        "import jobs; from shop.tasks import add; from jobs.testing import run_jobs\n"
        "handle = add.enqueue(1, 2); jobs.pause('letters'); jobs.resume('letters'); run_jobs()\n"
        "print(handle.result(timeout=0), jobs.clean('letters', 'completed', __import__('datetime').timedelta(0)))\n"
        "call('jobs', 'status')"
    )
    with project.having(f'{bare}\n{database}\nJOBS = {{"QUEUES": "shop.queues"}}'):
        done = project.run("-c", code, DJANGO_SETTINGS_MODULE="shop.settings")
    assert done.stdout.startswith("3 1\n"), done.stdout + done.stderr
