"""What 50 open pages of the overview cost the web processes: at most 10 % of a core, while jobs come and go as well.

    .venv/bin/python -m bench.overview_polls [--pages 50] [--seconds 30] [--database sqlite:////path/of/a/filled/site]

Starts gunicorn with two processes on a SQLite file of its own (or on the site that you name: see `bench.million`),
signs a person in and lets so many pages follow as static/jobs/live.js does: every 4 s while something changes, else
more rarely, up to 15 s. Four times: nothing changes; a job comes every second; and the same without the shared look
and the 304, by asking for the whole page every 4 s. Prints the processor seconds of gunicorn for each second, and
ends with 1 if a following page costs too much.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 0.10
FAST, SLOW, GROWTH = 4.0, 15.0, 1.5
PART, PAGE = "/admin/jobs/job/overview/", "/admin/jobs/"
SEED = """
from datetime import timedelta
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from accounts.models import User
from jobs import clock
from jobs.broker.database.rows import add_counts_of_hour
from jobs.broker.tally import Tally
user, _made = User.objects.get_or_create(email="polls@example.org", defaults={"is_staff": True, "is_superuser": True})
for hour in range(24):
    for queue in ("email", "lead", "notification"):
        tally = Tally()
        for i in range(400):
            tally.add_start("bench.task", "completed" if i % 20 else "failed", i * 7 % 3000, i * 11 % 9000)
        with connection.cursor() as cursor:
            add_counts_of_hour(cursor, connection.vendor, queue, clock.now() - timedelta(hours=hour), tally)
for _ in range(COUNT):
    session = SessionStore()
    session.update({SESSION_KEY: str(user.pk), HASH_SESSION_KEY: user.get_session_auth_hash(),
                    BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend"})
    session.save()
    print("session", session.session_key)
"""
CHANGE = """
import time
from jobs import clock
from jobs.models import Job
while True:
    now = clock.now()
    Job.objects.create(id=clock.new_id(), queue="lead", task="bench.task", state="completed", message="{}",
                       created_at=now, ready_at=now, ended_at=now)
    time.sleep(1)
"""


def main() -> None:
    """Measure all four ways and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--port", type=int, default=8873)
    parser.add_argument("--database", default="", help="a site that is filled already; rows are added to it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        env = _environment(folder, options.database)
        _manage(env, "migrate", "-v0")
        _manage(env, "collectstatic", "--no-input", "-v0")
        said = _manage(env, "shell", "-v0", "-c", SEED.replace("COUNT", str(options.pages)))
        sessions = re.findall(r"^session (\w+)$", said, re.MULTILINE)
        too_much = False
        with _gunicorn(env, options.port) as pid:
            for busy in (False, True):
                with _changes(env) if busy else _nothing():
                    for follows in (True, False):
                        cost, answers = _measure(pid, options, sessions, follows=follows)
                        _print(cost, answers, options.pages, busy=busy, follows=follows)
                        too_much |= follows and cost > LIMIT
    sys.exit(too_much)


def _print(cost: float, answers: Counter[int], pages: int, *, busy: bool, follows: bool) -> None:
    what = "a job every second" if busy else "nothing changes"
    how = "following" if follows else "reloading every 4 s"
    told = ", ".join(f"{count} × {status}" for status, count in sorted(answers.items()))
    print(f"{pages} pages {how:<20} {what:<20} {100 * cost:6.1f} % of a core  ({told})", flush=True)


def _measure(
    pid: int, options: argparse.Namespace, sessions: list[str], *, follows: bool
) -> tuple[float, Counter[int]]:
    answers: Counter[int] = Counter()
    end = threading.Event()
    # the first look of each page is its opening
    pages = [
        threading.Thread(target=_page, args=(options.port, session, follows, answers, end), daemon=True)
        for session in sessions
    ]
    for page in pages:
        page.start()
    time.sleep(FAST)
    answers.clear()
    before, began = _cpu(pid), time.monotonic()
    time.sleep(options.seconds)
    cost = (_cpu(pid) - before) / (time.monotonic() - began)
    seen = Counter(answers)
    end.set()
    for page in pages:
        page.join(timeout=30)
    return cost, seen


def _page(port: int, session: str, follows: bool, answers: Counter[int], end: threading.Event) -> None:
    tag, wait = "", FAST
    end.wait(random.random() * FAST)
    while not end.is_set():
        headers = {"Cookie": f"sessionid={session}", **({"If-None-Match": tag} if tag and follows else {})}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", PART if follows else PAGE, headers=headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        answers[answer.status] += 1
        tag = answer.headers.get("ETag", tag)
        wait = min(wait * GROWTH, SLOW) if answer.status == 304 else FAST
        end.wait(wait * (0.9 + 0.2 * random.random()))


def _cpu(pid: int) -> float:
    """Processor seconds of a process and its children that live."""
    total, ticks = 0.0, os.sysconf("SC_CLK_TCK")
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(path.parent.name) == pid or int(fields[1]) == pid:
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def _environment(folder: str, database: str) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "ENV_FILE": "/dev/null",
        "DEBUG": "false",
        "SECRET_KEY": "of-the-benchmark-and-of-nothing-else-0123456789abcdef",
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "false",
        "DATABASE_URL": database or f"sqlite:///{folder}/polls.sqlite3",
        "LOG_LEVEL": "ERROR",
    }


def _manage(env: dict[str, str], *words: str) -> str:
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def _gunicorn(env: dict[str, str], port: int) -> Iterator[int]:
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--workers", "2", "--threads", "4"]
    command += ["--bind", f"127.0.0.1:{port}", "--log-level", "error"]
    with subprocess.Popen(command, cwd=ROOT, env=env) as server:
        try:
            _wait_for(port, server)
            yield server.pid
        finally:
            server.terminate()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health/")
            if connection.getresponse().status < 500:
                return
        except OSError:
            if server.poll() is not None:
                break
        time.sleep(0.1)
    sys.exit("gunicorn did not answer within 30 s")


@contextmanager
def _changes(env: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "manage.py", "shell", "-v0", "-c", CHANGE], cwd=ROOT, env=env) as changes:
        try:
            yield
        finally:
            changes.terminate()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


if __name__ == "__main__":
    main()
