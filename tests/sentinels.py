"""A primary, its replicas and three Sentinels, started by a test: who is the primary changes when one dies."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import redis

from tests.ports import free_port
from tests.servers import START_LIMIT, RedisServer, need_redis

SERVICE = "jobs-main"


@dataclass
class Sentinel:
    """One Sentinel; `password` is its own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]


@dataclass
class SentinelSet:
    """Servers of which one is the primary, and the Sentinels that watch them."""

    servers: list[RedisServer]
    sentinels: list[Sentinel] = field(default_factory=list)
    password: str = ""
    sentinel_password: str = ""

    @classmethod
    def create(cls, replicas: int = 1, password: str = "", sentinel_password: str = "", **settings: str) -> SentinelSet:
        """A running set; it is complete when every Sentinel knows all."""
        signed = {"requirepass": password, "masterauth": password} if password else {}
        servers = [RedisServer.create(**settings, **signed) for _ in range(1 + replicas)]
        found = cls(servers, [], password, sentinel_password)
        servers[0].start()
        for replica in servers[1:]:
            replica.start()
            with redis.Redis.from_url(replica.url(password=password)) as client:
                client.replicaof("127.0.0.1", servers[0].port)
        found.sentinels = [found._start_sentinel() for _ in range(3)]
        found._wait_until(lambda: all(found._is_complete(one) for one in found.sentinels), "every Sentinel knows all")
        found._wait_until(lambda: all(found.follows(replica) for replica in servers[1:]), "every replica follows")
        return found

    @property
    def url(self) -> str:
        """Its address, as the setting has it."""
        signed = f":{quote(self.password, safe='')}@" if self.password else ""
        places = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        option = f"?sentinel_password={quote(self.sentinel_password, safe='')}" if self.sentinel_password else ""
        return f"redis+sentinel://{signed}{places}/{SERVICE}/0{option}"

    def primary(self) -> RedisServer:
        """The server that most Sentinels take for the primary."""
        named = [self._named_by(one) for one in self.sentinels if one.process.poll() is None]
        port = max(set(named), key=named.count)
        return next(server for server in self.servers if server.port == port)

    def fail_over(self, how: signal.Signals = signal.SIGKILL) -> RedisServer:
        """Kill the primary, or stop it, and wait until all Sentinels name another one; returns the old one."""
        old = self.primary()
        assert old.process is not None
        if how is signal.SIGSTOP:
            old.process.send_signal(how)
        else:
            old.stop(how)
        self.wait_for_another_than(old)
        return old

    def hand_over(self) -> RedisServer:
        """Let a replica become the primary while the old one lives: that becomes a replica; returns the old one."""
        old = self.primary()
        with self._client(self.sentinels[0]) as client:
            client.execute_command("SENTINEL", "FAILOVER", SERVICE)
        self.wait_for_another_than(old)
        return old

    def wait_for_another_than(self, old: RedisServer) -> None:
        """Wait until all Sentinels name the same other server, and that takes writes."""

        def is_there() -> bool:
            named = {self._named_by(one) for one in self.sentinels if one.process.poll() is None}
            return named != {old.port} and len(named) == 1 and self.role(self.primary()) == "master"

        self._wait_until(is_there, "another primary")

    def role(self, server: RedisServer) -> str:
        """What a server says that it is; nothing if it does not answer."""
        try:
            with redis.Redis.from_url(server.url(password=self.password), socket_timeout=2) as client:
                return str(client.role()[0].decode())
        except redis.RedisError:
            return ""

    def follows(self, replica: RedisServer) -> bool:
        """Whether a replica has all that its primary had when it asked, and hears what is new."""
        with redis.Redis.from_url(replica.url(password=self.password), socket_timeout=2) as client:
            role = client.role()
        return len(role) > 3 and role[0] == b"slave" and role[3] == b"connected"

    def remove(self) -> None:
        """End it all."""
        for sentinel in self.sentinels:
            sentinel.process.kill()
            sentinel.process.wait(30)
        for server in self.servers:
            server.remove()

    def _start_sentinel(self) -> Sentinel:
        folder, port = Path(tempfile.mkdtemp(prefix="esteira-sentinel-", dir=self.servers[0].folder)), free_port()
        lines = [
            *(f"port {port}", "bind 127.0.0.1", f"dir {folder}", "sentinel resolve-hostnames no"),
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.servers[0].port} 2",
            *(f"sentinel down-after-milliseconds {SERVICE} 700", f"sentinel failover-timeout {SERVICE} 4000"),
        ]
        if self.password:
            lines.append(f'sentinel auth-pass {SERVICE} "{self.password}"')
        if self.sentinel_password:
            lines += [f'requirepass "{self.sentinel_password}"', f'sentinel sentinel-pass "{self.sentinel_password}"']
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
        log = (folder / "log").open("ab")
        words = [str(need_redis()), str(folder / "sentinel.conf"), "--sentinel"]
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder, start_new_session=True)
        return Sentinel(folder, port, process)

    def _client(self, sentinel: Sentinel) -> redis.Redis:
        return redis.Redis(port=sentinel.port, password=self.sentinel_password or None, socket_timeout=2)

    def _named_by(self, sentinel: Sentinel) -> int:
        with self._client(sentinel) as client:
            return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def _is_complete(self, sentinel: Sentinel) -> bool:
        try:
            with self._client(sentinel) as client:
                told = client.execute_command("SENTINEL", "MASTER", SERVICE)
        except redis.ConnectionError:
            return False
        fields = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
        known = {str(_text(name)): _text(value) for name, value in fields.items()}
        return (int(known["num-slaves"]), int(known["num-other-sentinels"])) == (len(self.servers) - 1, 2)

    def _wait_until(self, condition: object, what: str) -> None:
        until = time.monotonic() + START_LIMIT
        while not condition():  # type: ignore[operator]
            if time.monotonic() > until:
                logs = "\n".join((one.folder / "log").read_text(errors="replace")[-1500:] for one in self.sentinels)
                raise RuntimeError(f"did not happen: {what}\n{logs}")
            time.sleep(0.05)


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value
