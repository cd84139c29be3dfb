"""The server has done what a script says, and its reply gets lost: said again, it is done once (G1, G2, G4).

Each script is played twice on an empty server with a clock that stands still: undisturbed, and with one reply of it cut
in half on its way back. All keys must hold the same at the end, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis

from jobs import clock
from jobs.broker.changes import Change
from jobs.broker.lanes import GroupSettings
from jobs.broker.records import (
    CancelAnswer,
    Completed,
    LivingRow,
    PushStatus,
    Reaped,
    Retried,
    Rewound,
)
from jobs.broker.redis import processes, scripts
from jobs.broker.redis.broker import RedisBroker
from jobs.broker.redis.left import LeftRedis
from jobs.errors import BrokerAway
from jobs.policy import QueueLimits, RateLimit
from tests.contract.hands import Hands
from tests.faults.proxy import Proxy
from tests.servers import RedisServer

NOW = "tests:now"
STANDS_STILL = f"\nnow = tonumber(call('GET', '{NOW}'))\n"
#: The first job's id: that of the worker comes before.
FIRST = UUID(int=2).bytes
BEGIN = 1_800_000_000_000_000
SECOND = 1_000_000
#: One counts the pushes, and a repeated one is one more; the others hold ids of facts, which have their own clock.
NOT_COMPARED = (b"sequence", b"lives", b"read")


class World:
    """A broker behind a proxy, with some jobs."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        self.client = client
        self.broker = RedisBroker(url, "tests")
        self.hands = Hands(self.broker, lease=30)

    def later(self, seconds: float) -> None:
        self.client.incrby(NOW, round(seconds * SECOND))

    def another_run_of_the_server(self) -> None:
        """As if it had been restarted, and had lost nothing."""
        self.client.hset("{tests:lane}:meta", "server", "another")

    def wiped(self) -> None:
        # the layout is noted again with the next connection
        kept = (NOW.encode(), b"{tests:_}:meta")
        self.client.delete(*(key for key in self.client.scan_iter() if key not in kept))
        self.later(1)


@dataclass(frozen=True)
class Scene:
    """What comes before, the call whose reply is lost, and what else it may answer when it is said again.

    `text`: of several calls of the script the one that holds it.
    """

    prepare: Callable[[World], Any]
    act: Callable[[World, Any], Any]
    again: Callable[[Any], Any] | None = None
    text: str = ""


def nothing(world: World) -> None:
    """An empty server."""


def some_jobs(world: World) -> list[UUID]:
    return [world.hands.push(key="k" if i == 0 else None, delay=0 if i < 3 else 50) for i in range(5)]


def some_groups(world: World) -> None:
    for group in "aab":
        world.hands.push(group=group, lane=group)
    world.hands.claim_one()


def a_claimed_job(world: World) -> Any:
    some_jobs(world)
    return world.hands.claim_one()


def two_claimed(world: World) -> Any:
    some_jobs(world)
    return world.hands.claim(2)


def told(world: World) -> Any:
    job = a_claimed_job(world)
    world.hands.settle(job)
    return world.broker.read_facts("lane", "", "", 100)


def claimed_in_another_life(world: World) -> Any:
    job = a_claimed_job(world)
    world.another_run_of_the_server()
    return job


def claimed_before_all_was_wiped(world: World) -> Any:
    job = a_claimed_job(world)
    world.wiped()
    return job


def lost_twice(world: World) -> None:
    some_jobs(world)
    world.hands.lose(2)


def settle_and_claim(world: World, jobs: Any) -> Any:
    settlements = [world.hands.settlement(job, outcome) for job, outcome in zip(jobs, OUTCOMES, strict=True)]
    return world.hands.exchange(*settlements, wanted=2, number=50)


OUTCOMES = (Completed(), Retried(3.0, "broken"))
RESERVE = {"limit": 3, "per": 10_000_000, "guard": 20_000, "wanted": 2, "id": "claim"}


def settle_in_a_new_life(world: World, job: Any) -> Any:
    return world.hands.exchange(world.hands.settlement(job, Completed()), wanted=1, number=50)


def at_once(world: World, ids: list[UUID]) -> bool:
    return world.broker.promote("lane", ids[4])


def mend(world: World, ids: list[UUID]) -> Any:
    live = [LivingRow(ids[1], 1, 1, 2, 1), LivingRow(UUID(int=7), 1, 0, 0, 0)]
    return world.broker.mend("lane", live, [(ids[0], 1), (ids[4], 1)])


def some_out_of_place(world: World) -> None:
    ids = some_jobs(world)
    (place,) = (one for one in world.client.zrange("{tests:lane}:waiting", 0, -1) if one.endswith(FIRST))
    world.client.zrem("{tests:lane}:waiting", place)
    world.client.hdel("{tests:lane}:jobs", ids[1].bytes, ids[2].bytes)


def reap_and_clear_up(world: World, _: Any) -> Any:
    reaped = world.broker.reap(["lane"])
    # who has vanished is noted no more
    world.broker.processes()
    return reaped


def push_three(world: World, _: Any) -> Any:
    jobs = [world.hands.new_job(key=key) for key in ("a", "a", None)]
    return [answer.status for answer in world.broker.push("lane", jobs).answers]


def adopt(world: World, ids: list[UUID]) -> Any:
    held = [world.hands.new_job(id=ids[1]), world.hands.new_job(id=UUID(int=9), key="z")]
    return world.broker.adopt("lane", held, [datetime(2026, 1, 1, tzinfo=UTC)] * 2)


SCENES: dict[str, Scene] = {
    "adopt": Scene(some_jobs, adopt),
    "leave": Scene(some_jobs, lambda world, ids: LeftRedis.leave(world.broker, "lane")),
    "push": Scene(nothing, push_three, lambda first: [PushStatus.KNOWN, PushStatus.DUPLICATE, PushStatus.KNOWN]),
    "exchange": Scene(two_claimed, settle_and_claim),
    "testify": Scene(claimed_before_all_was_wiped, settle_in_a_new_life),
    "confirm": Scene(claimed_in_another_life, lambda world, job: world.hands.exchange(wanted=1, number=50)),
    "register": Scene(a_claimed_job, lambda world, job: world.hands.new_worker()),
    "release": Scene(
        two_claimed,
        lambda world, jobs: world.broker.release(world.hands.record(world.hands.worker), lost=True),
        lambda first: replace(first, jobs=0),
    ),
    "reap": Scene(
        lambda world: (two_claimed(world), world.hands.push(expires_in=1), world.later(40)),
        reap_and_clear_up,
        lambda first: Reaped(),
    ),
    # whoever cancels by hand hears that it has ended, which is so
    "cancel": Scene(
        some_jobs, lambda world, ids: world.broker.cancel("lane", ids[0], "why"), lambda first: CancelAnswer.ENDED
    ),
    "promote": Scene(some_jobs, at_once, lambda first: False),
    "await_ends": Scene(some_jobs, lambda world, ids: world.broker.await_ends("lane", ids)),
    "change": Scene(
        some_jobs, lambda world, ids: world.broker.change("lane", ids[4], Change(delay=30, priority=7, message="{}"))
    ),
    "examine": Scene(
        some_out_of_place,
        lambda world, _: world.broker.examine("lane", mend=True),
        # several steps, of which the first was made before its reply was lost
        lambda first: {name: count for name, count in first.items() if name != "unplaced"},
    ),
    "wipe": Scene(some_jobs, lambda world, ids: world.broker.wipe("lane", force=True), lambda first: 0),
    "hold": Scene(some_jobs, lambda world, ids: world.broker.pause("lane")),
    "set_group": Scene(
        some_groups, lambda world, _: world.broker.set_group("lane", "a", GroupSettings(paused=True, concurrency=2))
    ),
    "set_limits": Scene(
        some_jobs, lambda world, ids: world.broker.set_limits("lane", QueueLimits(rate_limit=RateLimit(3, per=10)))
    ),
    "reserve": Scene(nothing, lambda world, _: world.broker._scripts.reserve("hub", RESERVE)),
    "pause_worker": Scene(
        a_claimed_job, lambda world, job: world.broker.pause_worker("lane", world.hands.worker, paused=True)
    ),
    "groups": Scene(some_groups, lambda world, _: world.broker.groups("lane")),
    "count_group": Scene(some_groups, lambda world, _: world.broker.count_group("lane", "a", 10)),
    "pause_tag": Scene(some_jobs, lambda world, ids: world.broker.pause_tag("lane", "x", paused=True)),
    "read_facts": Scene(a_claimed_job, lambda world, job: world.broker.read_facts("lane", "", "", 100).facts),
    "forget_facts": Scene(told, lambda world, page: world.broker.forget_facts("lane", page.generation, page.last)),
    "rewind": Scene(
        lambda world: (some_jobs(world), world.later(-3_600)),
        lambda world, _: world.broker.rewind(),
        lambda first: Rewound(),
    ),
    "life": Scene(claimed_in_another_life, lambda world, job: world.broker.life("lane", "", "")),
    "mend": Scene(some_jobs, mend),
    "heal": Scene(
        some_out_of_place,
        lambda world, _: world.broker.heal("lane"),
        lambda first: replace(first, **{fields(first)[0].name: 0}),
        FIRST.decode(),
    ),
    "find": Scene(a_claimed_job, lambda world, job: world.broker.find("lane", job.id)),
    "explain": Scene(some_jobs, lambda world, ids: world.broker.explain(world.hands.policy, ids[1])),
    "holder": Scene(some_jobs, lambda world, ids: world.broker.holder("lane", "k")),
    "release_key": Scene(
        some_jobs, lambda world, ids: world.broker.release_key("lane", "k", ids[0]), lambda first: False
    ),
    "list_waiting": Scene(some_jobs, lambda world, ids: world.broker.list_waiting("lane", "", 2)),
    "count": Scene(a_claimed_job, lambda world, job: world.broker.counts("lane")),
    "lag": Scene(told, lambda world, page: world.broker.lag("lane", "").seconds > 0),
    "note": Scene(a_claimed_job, lambda world, job: world.broker.report_trouble(world.hands.worker, "trouble")),
    "now": Scene(nothing, lambda world, _: world.broker.now()),
    "processes": Scene(nothing, lambda world, _: len(world.broker.processes())),
    "waits_alone": Scene(lost_twice, lambda world, _: world.broker.waits_alone(["lane"])),
}


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    proxy = Proxy(server.port, redis=True)
    yield proxy
    proxy.close()


@pytest.fixture(autouse=True)
def _clock_stands_still(monkeypatch: pytest.MonkeyPatch, client: redis.Redis) -> Iterator[None]:
    part = scripts._part
    monkeypatch.setattr(scripts, "_part", lambda name: part(name) + (STANDS_STILL if name == "clock" else ""))
    scripts.load_script.cache_clear()
    monkeypatch.setattr(processes, "VANISHED", 0.0)
    monkeypatch.setattr(RedisBroker, "clock_offset", lambda self: 0.0)
    yield
    monkeypatch.undo()
    scripts.load_script.cache_clear()


def test_every_script_has_its_scene() -> None:
    assert SCENES.keys() == {path.stem for path in Path(scripts.__file__).with_name("lua").glob("*.lua")}


@pytest.mark.parametrize("connection", ["kept", "new"])
@pytest.mark.parametrize("name", SCENES)
def test_a_lost_reply_leaves_what_an_undisturbed_call_leaves(
    name: str, connection: str, server: RedisServer, client: redis.Redis, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, digest = SCENES[name], scripts.load_script(name)[0]
    client.script_load(scripts.load_script(name)[1])

    world, prepared = _prepare(scene, server.url(), client, monkeypatch)
    client.script_load(scripts.load_script(name)[1])
    answer = scene.act(world, prepared)
    expected = _all_keys(client)
    world.broker.close()

    world, prepared = _prepare(scene, server.url().replace(str(server.port), str(proxy.port)), client, monkeypatch)
    client.script_load(scripts.load_script(name)[1])
    if connection == "new":
        world.broker.close()
    rule = proxy.cut("reply", "EVALSHA", digest, scene.text)
    try:
        told = scene.act(world, prepared)
    except BrokerAway:
        # on a connection of its own nothing is sent twice: the caller says it again
        monkeypatch.setattr(clock, "new_id", _ids(1_000))
        told = scene.act(world, prepared)
    assert rule.done == 1
    assert told in [answer, *([scene.again(answer)] if scene.again else [])]
    assert _all_keys(client) == expected
    world.broker.close()


def _prepare(scene: Scene, url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> tuple[World, Any]:
    client.flushall()
    client.set(NOW, BEGIN)
    monkeypatch.setattr(clock, "new_id", _ids(1))
    world = World(url, client)
    prepared = scene.prepare(world)
    monkeypatch.setattr(clock, "new_id", _ids(1_000))
    return world, prepared


def _ids(first: int) -> Callable[[], UUID]:
    numbers = iter(range(first, first + 1_000))
    return lambda: UUID(int=next(numbers))


def _all_keys(client: redis.Redis) -> dict[bytes, Any]:
    return {key: _value(client, key) for key in sorted(client.scan_iter()) if key != NOW.encode()}


def _value(client: redis.Redis, key: bytes) -> Any:
    match client.type(key):
        case b"hash":
            return {name: value for name, value in client.hgetall(key).items() if name not in NOT_COMPARED}
        case b"zset":
            return client.zrange(key, 0, -1, withscores=True)
        case b"stream":
            return [entry for _id, entry in client.xrange(key)]
        case b"list":
            return client.lrange(key, 0, -1)
        case b"set":
            return client.smembers(key)
    return client.get(key)
