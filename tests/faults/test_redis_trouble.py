"""A Redis that is there and does not do what it is asked: told in one sentence, and over when it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import redis

from tests.servers import RedisServer

from .harness import Huey, Site, wait_for
from .ledger import check_ledger

pytestmark = pytest.mark.slow

#: What a foreign program keeps the server busy with.
LONG_SCRIPT = """
local began = redis.call('TIME')
repeat local now = redis.call('TIME') until now[1] - began[1] >= tonumber(ARGV[1])
"""
ADMIN = ("tester", "secret")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    server = RedisServer.create(
        appendonly="yes",
        appendfsync="everysec",
        **{"lua-time-limit": "100", "auto-aof-rewrite-percentage": "0", "key-load-delay": "0"},
    )
    server.start()
    with redis.Redis.from_url(server.url()) as client:
        client.execute_command("ACL", "SETUSER", ADMIN[0], "on", f">{ADMIN[1]}", "~*", "+@all")
    yield server
    server.remove()


@pytest.fixture
def site(make_site: Callable[..., Site], server: RedisServer) -> Site:
    return make_site(FAULTS_REDIS=server.url(), FAULTS_LEASE="10")


def admin_of(server: RedisServer) -> redis.Redis:
    """Somebody who may do everything, and is none of our processes."""
    return redis.Redis.from_url(server.url(*ADMIN), socket_timeout=20)


Trouble = Callable[[RedisServer], AbstractContextManager[None]]


@contextmanager
def busy(server: RedisServer) -> Iterator[None]:
    def hold() -> None:
        with admin_of(server) as client:
            client.eval(LONG_SCRIPT, 0, 3)

    thread = threading.Thread(target=hold)
    thread.start()
    yield
    thread.join(20)


@contextmanager
def loading(server: RedisServer) -> Iterator[None]:
    with admin_of(server) as client:
        for number in range(40):
            client.set(f"junk {number}", "x" * 200_000)
        client.config_set("aof-use-rdb-preamble", "yes")
        client.bgrewriteaof()
        wait_for(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    server.stop()
    server.settings |= {"key-load-delay": "100000", "loading-process-events-interval-bytes": "1024"}
    server.start(wait=False)
    yield
    wait_for(server._answers)


@contextmanager
def full_disk(server: RedisServer) -> Iterator[None]:
    server.full_disk(True)
    yield
    server.full_disk(False)


@contextmanager
def replica(server: RedisServer) -> Iterator[None]:
    with admin_of(server) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        yield
        client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def new_password(server: RedisServer) -> Iterator[None]:
    with admin_of(server) as client:
        client.execute_command("ACL", "SETUSER", "default", "resetpass", ">other")
        client.execute_command("CLIENT", "KILL", "USER", "default")
        yield
        client.execute_command("ACL", "SETUSER", "default", "nopass")


@contextmanager
def no_permission(server: RedisServer) -> Iterator[None]:
    with admin_of(server) as client:
        client.execute_command("ACL", "SETUSER", "default", "-evalsha", "-eval")
        yield
        client.execute_command("ACL", "SETUSER", "default", "+@all")


@contextmanager
def killed_clients(server: RedisServer) -> Iterator[None]:
    over = threading.Event()

    def storm() -> None:
        with admin_of(server) as client:
            while not over.wait(0.005):
                client.execute_command("CLIENT", "KILL", "USER", "default")

    thread = threading.Thread(target=storm)
    thread.start()
    yield
    over.set()
    thread.join(20)


@contextmanager
def paused_clients(server: RedisServer) -> Iterator[None]:
    with admin_of(server) as client:
        client.execute_command("CLIENT", "PAUSE", 3000, "ALL")
    yield
    with admin_of(server) as client:
        client.ping()


TROUBLES: dict[str, tuple[Trouble, str]] = {
    "busy": (busy, "Redis is busy with a script"),
    "loading": (loading, "Redis is still loading its data"),
    "full disk": (full_disk, "Redis cannot write to its disk and takes nothing"),
    "read-only": (replica, "this Redis server has become a read-only replica"),
    "new password": (new_password, "Redis refuses the user or the password of redis://"),
    "no permission": (no_permission, "the Redis user of redis://"),
    "killed clients": (killed_clients, "Redis cannot be reached"),
    "paused clients": (paused_clients, "Redis cannot be reached"),
}


#: The others are for those who have the time.
ALWAYS = ("busy", "read-only")


@pytest.mark.parametrize(
    "trouble", [pytest.param(name, marks=[] if name in ALWAYS else pytest.mark.slow) for name in TROUBLES]
)
def test_worker_tells_what_is_wrong_with_redis_and_goes_on_by_itself(
    site: Site, server: RedisServer, trouble: str
) -> None:
    begin, sentence = TROUBLES[trouble]
    console = site.console()
    console.ask("nap.enqueue(0)")
    huey = site.run_huey("--queue", "work")
    site.enqueue("nap.enqueue_many([0.05] * 300)")
    wait_for(lambda: len(site.ledger("end")) > 20)
    with begin(server):
        wait_for(lambda: _told(huey, sentence), what=f"{sentence!r} in {huey.log_path}")
        began = time.monotonic()
        console.ask("[nap.enqueue(0) for _ in range(20)]")
        assert time.monotonic() - began < 15  # a time-out now and then, and else straight to the outbox
    wait_for(lambda: site.states("work")["completed"] == 321, what=f"all completed in {site.folder}")
    assert "Traceback" not in _lines(huey, "broker_failed")
    check_ledger(site)
    assert {row[0] for row in site.rows("SELECT lost FROM jobs_job WHERE queue = 'work'")} == {0}


def _told(huey: Huey, sentence: str) -> bool:
    return sentence in _lines(huey, "broker_failed")


def _lines(huey: Huey, word: str) -> str:
    return "\n".join(line for line in huey.log.splitlines() if word in line)
