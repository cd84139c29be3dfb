"""Real processes on a database of their own, started and killed; what happened is read from the ledger and the rows."""

from __future__ import annotations

import json
import os
import random
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar
from uuid import UUID

import psycopg
import pytest
import redis

from jobs.broker.redis.broker import RedisBroker
from tests.servers import RedisServer

ROOT = Path(__file__).resolve().parents[2]
Answer = TypeVar("Answer")
#: Those of the site.
QUEUES = ("work", "paced", "other")
#: Nobody enqueues the ticks; and on their queue the retention is short.
NOT_TICKS = "queue <> 'other'"
LIVES = f"{NOT_TICKS} AND state IN ('blocked', 'pending', 'queued', 'active')"
#: Seconds after which nothing comes any more, on however busy a machine.
NET = 120.0
#: For what takes minutes: CI leaves it out, `make faults` runs it.
LONG = (pytest.mark.slow, pytest.mark.long)


def wait_for(condition: Callable[[], Answer], limit: float = NET, what: str = "") -> Answer:
    """Ask until the answer is true; fails after `limit` seconds: by itself a net for a busy machine, not a promise."""
    end = time.monotonic() + limit
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {limit:g} s: {what or condition}")
        time.sleep(0.02)


def some_time(chance: random.Random, most: float = 0.3) -> None:
    """Let a fault come at any moment, of at most so many seconds."""
    time.sleep(chance.uniform(0, most))


def ids_in(answer: Any) -> set[str]:
    """The ids of the jobs that an answer names."""
    if isinstance(answer, dict):
        return ids_in(list(answer.values()))
    if isinstance(answer, list):
        return set().union(*map(ids_in, answer))
    return {answer} if isinstance(answer, str) and re.fullmatch("[0-9a-f]{32}", answer) else set()


class Line(NamedTuple):
    word: str
    job: str
    token: str
    pid: int
    at: float
    queue: str


class Site:
    """A folder with a database, a ledger and the processes that work on them."""

    on_postgresql = False
    on_redis = False
    #: The sites that were closed with jobs in them, and no ledger held against the history.
    forgotten: ClassVar[list[Path]] = []

    def __init__(self, folder: Path, template: Path | None = None, **variables: str) -> None:
        self.folder = folder
        self.database = folder / "jobs.sqlite3"
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self.environment = {
            **keep,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "FAULTS_FOLDER": str(folder),
            **variables,
        }
        self.started: list[Huey] = []
        self.consoles: list[Console] = []
        #: The ids of the jobs that a process of the site told of: they are accepted.
        self.accepted: set[str] = set()
        #: Whether the ledger was held against the history.
        self.is_checked = False
        self.witness: sqlite3.Connection | None = None
        if template is not None:
            shutil.copy(template, self.database)

    def move_database(self, folder: Path) -> None:
        """Let the database lie elsewhere; its address in the environment is the caller's business."""
        self.database = Path(shutil.move(self.database, folder / self.database.name))

    def manage(self, *words: str, limit: float = NET, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    def python(self, code: str, code_expected: int = 0, **variables: str) -> Any:
        """Run code in a process of the site; its last line of output is JSON and is the answer."""
        head = "import json, os, django; django.setup(); from tests.faults.app.tasks import *\n"
        done = subprocess.run(
            [sys.executable, "-c", head + code],
            cwd=ROOT,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=NET,
            check=False,
        )
        assert done.returncode == code_expected, done.stderr
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None

    def enqueue(self, call: str, **variables: str) -> Any:
        """Enqueue, for example "nap.enqueue(1)" or "nap.enqueue_many([1, 2])".

        Returns the job's id without dashes, or the ids.
        """
        answer = self.python(f"print(json.dumps({call}, default=lambda handle: handle.id.hex))", **variables)
        self.told(answer)
        return answer

    def cancel(self, *ids: str) -> None:
        """Cancel jobs that wait."""
        done = self.manage("jobs", "cancel", *ids)
        assert done.returncode == 0, done.stderr

    def run_huey(
        self,
        *words: str,
        wait: bool = True,
        through: Sequence[str] = (),
        output: int | None = None,
        **variables: str,
    ) -> Huey:
        """Start it; `through` is a command that runs another one, for example on another machine.

        Its output goes to its log, or to a file that is open as `output`.
        """
        huey = Huey(self, words, variables, through, output)
        self.started.append(huey)
        if wait:
            huey.wait_until_ready()
        return huey

    def console(self, **variables: str) -> Console:
        """A process of the site that answers one question after the other."""
        self.consoles.append(Console(self, variables))
        return self.consoles[-1]

    def arm(self) -> None:
        """Let the processes started from now on pass fault points."""
        for name in ("traps", "seen", "sprung"):
            (self.folder / name).mkdir(exist_ok=True)

    def set_trap(self, role: str, point: str, action: str = "kill", times: int = 1) -> None:
        """Kill or stop the process (worker, keeper, supervisor, caller) that is the n-th to pass a point."""
        (self.folder / "sprung" / f"{role} {point}").unlink(missing_ok=True)
        written = self.folder / "traps" / ".new"
        written.write_text(f"{action} {times}")
        written.rename(self.folder / "traps" / f"{role} {point}")

    def is_sprung(self, role: str, point: str) -> bool:
        return (self.folder / "sprung" / f"{role} {point}").exists()

    def seen(self) -> set[str]:
        """Which points were reached, as "role point"."""
        return {path.name for path in (self.folder / "seen").iterdir()}

    def keep_log(self) -> None:
        """Stay connected from now on: who closes the last connection removes SQLite's log, however large it is."""
        if self.witness is None:
            self.witness = sqlite3.connect(self.database, timeout=20)
            self.witness.execute("SELECT count(*) FROM sqlite_master").fetchall()

    def close(self) -> None:
        if self.witness is not None:
            self.witness.close()
        if not self.is_checked and self.has_jobs():
            self.forgotten.append(self.folder)
        for console in self.consoles:
            console.end()
        for huey in self.started:
            huey.end()

    def has_jobs(self) -> bool:
        """Whether there is anything that a ledger could tell of; where the tables are gone there is not."""
        try:
            return bool(self.rows(f"SELECT 1 FROM jobs_job WHERE {NOT_TICKS} LIMIT 1"))
        except (sqlite3.OperationalError, psycopg.Error):
            return False

    def told(self, answer: Any) -> None:
        """Note the jobs that an answer names."""
        if ids := ids_in(answer):
            self.accepted |= ids
            self.is_checked = False

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.database, timeout=20)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def write(self, sql: str, *values: Any) -> None:
        connection = sqlite3.connect(self.database, timeout=20)
        try:
            with connection:
                connection.execute(sql, values)
        finally:
            connection.close()

    def job(self, id: str) -> dict[str, Any]:
        names = ("state", "attempts", "starts", "lost", "ready_at")
        return dict(zip(names, self.rows(f"SELECT {', '.join(names)} FROM jobs_job WHERE id = ?", id)[0], strict=True))

    def states(self, queue: str) -> Counter[str]:
        return Counter(dict(self.rows("SELECT state, count(*) FROM jobs_job WHERE queue = ? GROUP BY state", queue)))

    def job_ids(self) -> set[str]:
        """Every job that there is, ended or not."""
        return {id for (id,) in self.rows("SELECT id FROM jobs_job")}

    def processes(self) -> int:
        """How many hold a lease, or held one and were not reaped."""
        return int(self.rows("SELECT count(*) FROM jobs_process")[0][0])

    def has_live_jobs(self) -> bool:
        return bool(self.rows(f"SELECT 1 FROM jobs_job WHERE {LIVES} LIMIT 1"))

    def counter(self) -> int:
        """What the atomic task `count` has counted."""
        return int(self.rows("SELECT value FROM faults_counter")[0][0])

    def ledger(self, word: str = "start") -> list[Line]:
        path = self.folder / "ledger"
        text = path.read_text() if path.exists() else ""
        # the last line may be on its way
        read = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
        return [
            Line(w, job.replace("-", ""), token, int(pid), float(at), queue)
            for w, job, token, pid, at, queue in read
            if w == word
        ]

    def starts(self, job: str) -> list[Line]:
        return [line for line in self.ledger() if line.job == job]


_OPTIONS = "-c timezone=UTC -c statement_timeout=60000"


class PostgresqlSite(Site):
    """The same with its database on a PostgreSQL server."""

    on_postgresql = True

    def __init__(self, folder: Path, url: str, **variables: str) -> None:
        super().__init__(folder, **{**variables, "FAULTS_DATABASE": url})
        self.url = url

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True, options=_OPTIONS, connect_timeout=20) as connection:
            found = connection.execute(sql.replace("?", "%s"), values).fetchall()
        return [tuple(_as_in_sqlite(value) for value in row) for row in found]

    def write(self, sql: str, *values: Any) -> None:
        with psycopg.connect(self.url, autocommit=True, options=_OPTIONS, connect_timeout=20) as connection:
            connection.execute(sql.replace("?", "%s"), values)


def _as_in_sqlite(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return value.hex if isinstance(value, UUID) else value


class RedisSite(Site):
    """The same with its jobs on a Redis server, under a namespace of its own; rows are the history, and late."""

    on_redis = True

    def __init__(self, folder: Path, template: Path, server: RedisServer, database: int = 0, **variables: str) -> None:
        default = f"faults.{re.sub('[^A-Za-z0-9_.-]', '_', folder.name)[-50:]}"
        self.namespace = variables.get("FAULTS_NAMESPACE", default)
        self._database = database
        self.move_to(server)
        where = {"FAULTS_REDIS": self._url, "FAULTS_NAMESPACE": self.namespace}
        super().__init__(folder, template, **{**where, **variables})

    def key(self, queue: str, name: str) -> str:
        """The name of a key."""
        return f"{{{self.namespace}:{queue}}}:{name}"

    def move_to(self, server: RedisServer) -> None:
        """From now on this one is asked for what lives; where its processes go is their own business."""
        self.server, self._url = server, server.url(number=self._database)
        self.broker = RedisBroker(self._url, self.namespace)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self._url)

    def close(self) -> None:
        super().close()
        self.broker.close()

    def has_jobs(self) -> bool:
        return super().has_jobs() or any(self.live("work")) or any(self.live("paced"))

    def job(self, id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            for queue in QUEUES:
                if (found := self.broker.find(queue, UUID(id))) is not None:
                    names = ("state", "attempts", "starts", "lost", "ready_at")
                    return {name: _as_in_sqlite(getattr(found, name)) for name in names}
            return super(RedisSite, self).job(id) if self.is_heard() else None

        return wait_for(look, what=f"the history of {id}")

    def states(self, queue: str) -> Counter[str]:
        """What the broker knows of the live, and the rows of all others."""
        live = self.live(queue)
        rows = dict(self.rows("SELECT id, state FROM jobs_job WHERE queue = ?", queue))
        return Counter({**rows, **live}.values())

    def job_ids(self) -> set[str]:
        return super().job_ids().union(*map(self.live, QUEUES))

    def processes(self) -> int:
        return len(self.broker.processes())

    def live(self, queue: str) -> dict[str, str]:
        """The states of the jobs that the broker has."""
        with self.client() as client:
            ids, active = client.pipeline().hkeys(self.key(queue, "jobs")).hkeys(self.key(queue, "active")).execute()
        return {id.hex(): "active" if id in active else "queued" for id in ids}

    def has_live_jobs(self) -> bool:
        return any(self.live(queue) for queue in QUEUES[:2]) or not self.is_heard() or super().has_live_jobs()

    def is_heard(self) -> bool:
        """Whether the history holds all that the broker tells; where nobody is there to do it, this does."""
        if all(huey.process.poll() is not None for huey in self.started):
            self.python("from jobs.history.live import hear; hear()")
        merged = dict(self.rows("SELECT queue, merged FROM jobs_queuestate"))
        with self.client() as client:
            for queue in QUEUES:
                for stream in ("facts", "kept"):
                    newest = client.xrevrange(self.key(queue, stream), count=1)
                    if newest and _position(newest[0][0].decode()) > _position(merged.get(queue) or "0-0"):
                        return False
        return True


class RedisAndPostgresqlSite(RedisSite, PostgresqlSite):
    """The jobs on Redis, the history in PostgreSQL; its template is the address of its database."""


def _position(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("-")))


class Console:
    """One process of a site, with its tasks at hand: expressions go in, JSON comes out; of a job handle its id."""

    LOOP = (
        "import json, sys, django; django.setup(); from tests.faults.app.tasks import *\n"
        "from tests.faults.app.business import *\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps(eval(line), default=lambda handle: handle.id.hex), flush=True)\n"
    )

    def __init__(self, site: Site, variables: dict[str, str]) -> None:
        self.site = site
        self.log_path = site.folder / f"console-{len(site.consoles)}"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.LOOP],
                cwd=ROOT,
                env={**site.environment, **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def ask(self, expression: str, limit: float = NET) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], limit)[0], f"no answer within {limit:g} s: {expression}"
        answer = self.process.stdout.readline()
        assert answer, self.log_path.read_text()
        found = json.loads(answer)
        self.site.told(found)
        return found

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


class Huey:
    """One `run_huey` with its children."""

    def __init__(
        self,
        site: Site,
        words: tuple[str, ...],
        variables: dict[str, str],
        through: Sequence[str] = (),
        output: int | None = None,
    ) -> None:
        self.site = site
        self.log_path = site.folder / f"log-{len(site.started)}"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*through, sys.executable, "manage.py", "run_huey", *words],
                cwd=ROOT,
                env={**site.environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log if output is None else output,
                stderr=log if output is None else output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def count(self, text: str) -> int:
        return self.log.count(text)

    def started(self, post: str) -> list[int]:
        """The process ids of all that ever filled a post, in order."""
        lines = [line.split() for line in self.log.splitlines() if f"child_started {post} " in line]
        return [int(words[words.index(post) + 1].removeprefix("pid=")) for words in lines]

    def child(self, post: str) -> int:
        """The process that fills a post now."""
        return self.started(post)[-1]

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.log
            workers = self.count("child_started") - self.count("child_started keeper")
            return workers > 0 and self.count("worker_started") >= workers

        wait_for(ready, what=f"start of run_huey: {self.log_path}")

    def children(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and parent_of(int(entry.name)) == self.pid:
                found.append(int(entry.name))
        return found

    def stop(self, number: int = signal.SIGTERM, limit: float = NET) -> int:
        self.process.send_signal(number)
        return self.process.wait(limit)

    def end(self) -> None:
        """Kill it, and all that it ever started."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        for line in self.log.splitlines():
            if "child_started" in line:
                pid = int(line.partition(" pid=")[2].split()[0])
                if is_of_site(pid, self.site):
                    os.kill(pid, signal.SIGKILL)


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except (OSError, IndexError):
        return 0


def is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] == "T"
    except OSError:
        return False


def is_of_site(pid: int, site: Site) -> bool:
    """Whether the process lives and belongs to this site: a process id may be used again."""
    try:
        return f"FAULTS_FOLDER={site.folder}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its living threads, exact to the nanosecond."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9
