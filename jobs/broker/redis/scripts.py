"""The Lua scripts: one atomic step a file, put together from `lua/parts`, called by their hash."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from redis.connection import Connection
from redis.exceptions import NoScriptError, ResponseError

from ...errors import BrokerAway, QueueBroken
from .connection import RedisServer
from .packing import Packed, Word, pack_words

#: How the live jobs are kept; to be raised with a change of keys, records or facts that another version would misread.
LAYOUT = 1
_LUA = Path(__file__).with_name("lua")
_INCLUDE = re.compile(r"^--:include (.+)$", re.MULTILINE)
#: The keys of a queue, as `lua/parts/queue.lua` names them, with what each holds.
KINDS = {
    **dict.fromkeys(("jobs", "waiting", "due", "alone", "active", "asked", "keys", "expiring", "ended"), "hash"),
    **dict.fromkeys(("waiting", "due", "alone", "expiring"), "zset"),
    **{"workers": "hash", "replies": "hash", "pace": "zset", "facts": "stream", "wake": "list", "meta": "hash"},
    **{"kept": "stream", "aside": "list", "leaving": "list", "behind": "hash"},
    **dict.fromkeys(("lanes", "held", "group_pace", "group_over"), "zset"),
    **dict.fromkeys(("groups", "turns"), "hash"),
}
KEYS = tuple(KINDS)
#: The name under which stands what is of no queue: no queue can be called so.
COMMON = "_"
#: Keys that stand beside those of a script, of no queue.
OTHER_KINDS = {"queues": "set", "processes": "hash"}

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.decode


class Scripts:
    """The scripts on one server, for the queues of one namespace."""

    def __init__(self, url: str, namespace: str, protocol: int = 2) -> None:
        self.server = RedisServer(url, protocol, self._check_layout)
        self._namespace = namespace
        # by queue: how many keys, and the keys
        self._packed: dict[str, Packed] = {}
        # the queues that were noted on the server, with their generations
        self._noted: dict[str, str] = {}

    def run(self, name: str, queue: str, *words: bytes | str, beside: Sequence[str] = (), **ask: Any) -> Any:
        """Run a script on a queue and return what it answers; `words` are passed on unread. Raises `BrokerAway`.

        `beside`: names of further keys of the queue.
        """
        if beside:
            keys = (*self.keys(queue), *(self.key(queue, one) for one in beside))
            return self._call(queue, name, len(keys), *keys, encode(ask), *words, signed=True)
        return self._call(queue, name, self._packed_keys(queue), encode(ask), *words, signed=True)

    def try_run(self, name: str, queue: str, **ask: Any) -> Any:
        """What a script answers, read; None where the queue is broken, of which the keeper tells."""
        try:
            return decode(self.run(name, queue, **ask))
        except QueueBroken:
            return None

    def reserve(self, place: str, ask: Mapping[str, Any]) -> Any:
        """Reserve starts under a limit that queues share; see `reserve.lua`."""
        return self._call(place, "reserve", 1, self.key(place, "pace"), encode(ask))

    def note(self, queue: str, fields: Mapping[str, str]) -> None:
        """Note a queue, if it has a name, and what is told of processes, also on a full server."""
        words = [word for field in fields.items() for word in field]
        keys = self.key(COMMON, "queues"), self.key(COMMON, "processes")
        self._call(COMMON, "note", len(keys), *keys, queue, *words)

    def command(self, command: str, queue: str, key: str, *words: Word) -> Any:
        """Run one command on one key of a queue; raises `BrokerAway`."""
        try:
            with self.server.reaching():
                return self.server.call(command, self.key(queue, key), *words)
        except ResponseError as error:
            raise self.failure(queue, error) from error

    def _call(self, queue: str, name: str, *words: Word, signed: bool = False) -> Any:
        script = load_script(name)
        try:
            with self.server.reaching():
                try:
                    return self.server.call(script.by_digest, *words, signed=signed)
                except NoScriptError:
                    # the server was restarted, or is another one now: nothing ran
                    return self.server.call("EVAL", script.text, *words, signed=signed)
        except ResponseError as error:
            raise self.failure(queue, error) from error

    def note_queue(self, queue: str) -> None:
        """Note the queue among those of the namespace."""
        if queue not in self._noted:
            self.command("SADD", COMMON, "queues", queue)
            self._noted[queue] = ""

    def note_generation(self, queue: str, generation: str) -> None:
        """In another one the server may have lost what was noted there."""
        if self._noted.get(queue) not in {"", generation}:
            self.command("SADD", COMMON, "queues", queue)
        self._noted[queue] = generation

    def failure(self, queue: str, error: ResponseError) -> Exception:
        """What an error means of which `reaching` knows nothing: that a key of the queue is not ours, or a mistake."""
        if "WRONGTYPE" not in str(error):
            return error
        with self.server.reaching():
            return self._broken(queue)

    def _broken(self, queue: str) -> QueueBroken:
        for name, kind in {**KINDS, **OTHER_KINDS}.items():
            key = self.key(queue, name)
            found = self.server.call("TYPE", key).decode()
            if found not in {kind, "none"}:
                text = f"the Redis key {key} holds a {found} of another program and not the {kind} of the jobs"
                return QueueBroken(queue, f"{text}: delete or rename it")
        return QueueBroken(queue, f"a Redis key of the queue {queue} held something else a moment ago")

    def key(self, queue: str, name: str) -> str:
        """The key of a queue by its name."""
        return f"{{{self._namespace}:{queue}}}:{name}"

    def _check_layout(self, connection: Connection) -> None:
        field = (self.key(COMMON, "meta"), "layout")
        found = _ask(connection, "HGET", *field)
        if found is None:
            _ask(connection, "HSETNX", *field, LAYOUT)
            found = _ask(connection, "HGET", *field)
        if found != b"%d" % LAYOUT:
            raise BrokerAway(
                f"the jobs of namespace {self._namespace!r} are kept in layout {found.decode()}, this version of jobs"
                f" knows layout {LAYOUT}: run the version that keeps them until none are left, or use another one",
                undone=True,
            )

    def keys(self, queue: str) -> tuple[str, ...]:
        """All keys of a queue."""
        return tuple(self.key(queue, name) for name in KEYS)

    def _packed_keys(self, queue: str) -> Packed:
        if queue not in self._packed:
            self._packed[queue] = pack_words(len(KEYS), *self.keys(queue))
        return self._packed[queue]


class Script(NamedTuple):
    """A script: its hash, its text, and how its call by the hash begins."""

    digest: str
    text: str
    by_digest: Packed

    @classmethod
    def of(cls, text: str) -> Script:
        """The script with this text."""
        digest = sha1(text.encode(), usedforsecurity=False).hexdigest()
        return cls(digest, text, pack_words("EVALSHA", digest))


@cache
def load_script(name: str) -> Script:
    """A script by its name, its parts included."""
    return Script.of(
        _INCLUDE.sub(lambda found: "\n".join(_part(one) for one in found[1].split()), _read(f"{name}.lua"))
    )


def _ask(connection: Connection, *command: Any) -> Any:
    connection.send_command(*command)
    return connection.read_response()


def _part(name: str) -> str:
    return _read(f"parts/{name}.lua")


def _read(path: str) -> str:
    return (_LUA / path).read_text("utf-8")
