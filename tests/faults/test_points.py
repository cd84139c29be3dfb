"""Kills and stops each process at each named fault point, and holds what ran against what was accepted (G1, G2, G8)."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from jobs import clock, faults
from jobs.broker.records import NewJob

from .harness import LONG, NET, ROOT, Console, Huey, RedisSite, Site, is_stopped, wait_for
from .ledger import check_ledger, wait_until_ended

on_each = pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)

MakeSite = Callable[..., Site]
QUEUES = ("--queue", "work", "--queue", "paced")
WORKER_POINTS = [name for name in faults.POINTS if name.split(".")[0] in ("claim", "execute", "atomic", "settle")]
ENQUEUE_POINTS = [name for name in faults.POINTS if name.split(".")[0] in ("enqueue", "push")]
KEEPER_POINTS = [
    name for name in faults.POINTS if name.split(".")[0] in ("reap", "relay", "tick", "prune", "upkeep", "sign")
]
#: Passed only where the broker is not the rows.
OF_REDIS = [name for name in faults.POINTS if name.split(".")[0] in ("merge", "recover")]
#: Where the rows are the queue the worker that ends a job tells who waits for it, otherwise the keeper.
OF_FLOWS = [name for name in faults.POINTS if name.split(".")[0] == "unblock"]
#: Not passed there: in a script nobody can be killed.
NOT_OF_REDIS = ["claim.before_commit", "settle.before_commit", "reap.before_commit"]
BATCH = "nap.enqueue_many([0.05] * 3) + [count.enqueue()] + step.enqueue_many([()] * 2)"


def test_every_point_is_named_once_and_has_its_place() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "jobs").rglob("*.py"))
    places = set(re.findall(r'\bpoint\("([\w.]+)"\)', source))
    trips = re.findall(r'pass_exchange\("(\w+)"', source)
    places |= {f"{part}.{where}" for where in trips for part in ("settle", "claim")}
    assert places == set(faults.POINTS)
    assert len(set(faults.POINTS)) == len(faults.POINTS)


@pytest.mark.slow
@on_each
def test_every_point_is_reached(site: Site) -> None:
    site.arm()
    huey, left, blinks = _site_where_everything_happens(site)
    expected = {f"worker {point}" for point in WORKER_POINTS} | {f"caller {point}" for point in ENQUEUE_POINTS}
    expected |= {f"keeper {point}" for point in KEEPER_POINTS} | {"keeper push.before_commit"}
    expected |= {"supervisor release.before_commit", "supervisor release.after_commit"}
    expected |= {f"keeper {point}" for point in OF_REDIS}
    expected |= {f"{'keeper' if site.on_redis else 'worker'} {point}" for point in OF_FLOWS}
    expected = {name for name in expected if _is_passed(site, name.split()[1])}

    with contextlib.suppress(AssertionError):
        wait_for(lambda: expected <= site.seen())
    assert expected - site.seen() == set()
    site.cancel(*left)
    check_ledger(site, site.accepted - blinks)
    assert {name.split()[1] for name in expected} == {name for name in faults.POINTS if _is_passed(site, name)}
    assert huey.process.poll() is None


def _is_passed(site: Site, point: str) -> bool:
    """Whether there is such a point on the site's broker and database."""
    if point.startswith("move."):  # only by a command: see test_moving.py
        return False
    elsewhere = NOT_OF_REDIS if site.on_redis else [*OF_REDIS, "unblock.after_commit"]
    return point not in elsewhere and not (site.on_postgresql and point.startswith("upkeep."))


def _site_where_everything_happens(site: Site) -> tuple[Huey, tuple[str, str], set[str]]:
    """The `run_huey`, the jobs left for the keeper, and the jobs that are pruned."""
    console = site.console()
    console.ask("attempt(nap.enqueue)")
    site.run_huey(*QUEUES, "--queue", "other", FAULTS_RESTART_PAUSE="0.05")
    huey = site.started[0]
    console.ask(BATCH)
    console.ask("[sell(), sell(key='one'), *chain(nap.bind(), nap.bind()).enqueue()]")
    blinks = set(console.ask("blink.enqueue_many([()] * 9)"))
    wait_until_ended(site)
    left = _leave_work_for_the_keeper(site, console)
    # the supervisor gives back what its dead worker held
    job = console.ask("nap.enqueue(0.5)")
    wait_for(lambda: site.starts(job))
    for pid in (huey.child("work/1"), huey.child("keeper")):
        os.kill(pid, signal.SIGKILL)
    return huey, left, blinks


def _leave_work_for_the_keeper(site: Site, console: Console) -> tuple[str, str]:
    """A job of a process whose lease has ended, one in the outbox, a tick that is due, and a large log.

    Returns the ids of both jobs.
    """
    wait_for(lambda: site.rows("SELECT 1 FROM jobs_schedule"), what="the first look for ticks")
    moments = [f"{datetime.now(UTC) - timedelta(seconds=ago):%Y-%m-%d %H:%M:%S.000000}" for ago in (301, 301, 300)]
    lost = _lose_a_job_on_redis(site) if isinstance(site, RedisSite) else _lose_a_job(site, console, moments)
    if site.on_redis:
        # as if it had been pushed to another life of Redis: recovered and relayed
        with site.console(FAULTS_REDIS="redis://127.0.0.1:1/0") as elsewhere:
            new = elsewhere.ask("nap.using(delay=1000).enqueue()")
        # nor as if a process of the database had just accepted it: that would be taken over before it is recovered
        pending = f"{int((time.time() - 301) * 1000):012x}{new[12:]}"
        site.write(
            "UPDATE jobs_job SET id = ?, state = 'queued', created_at = ? WHERE id = ?", pending, moments[0], new
        )
        site.accepted.discard(new)
        site.told(pending)
        site.write("UPDATE jobs_queuestate SET life = 'gone'")
    else:
        pending = console.ask("nap.using(delay=1000).enqueue()")
        site.write("UPDATE jobs_job SET state = 'pending', created_at = ? WHERE id = ?", moments[0], pending)
    site.write("UPDATE jobs_schedule SET last_tick = ?", moments[0])
    if not site.on_postgresql:
        site.keep_log()
        site.write("CREATE TABLE IF NOT EXISTS padding (bytes BLOB)")
        site.write("INSERT INTO padding VALUES (zeroblob(40000000))")
    return lost, pending


def _lose_a_job(site: Site, console: Console, moments: list[str]) -> str:
    dead = uuid4().hex
    lost = console.ask("nap.using(delay=1000).enqueue()")
    site.write(
        "UPDATE jobs_job SET state = 'active', worker_id = ?, claimed_at = ?, token = 1 WHERE id = ?",
        *(dead, moments[0], lost),
    )
    site.write(
        "INSERT INTO jobs_process (id, kind, queue, host, pid, concurrency, started_at, renewed_at, lease_until) "
        "VALUES (?, 'worker', 'work', 'gone', 1, 1, ?, ?, ?)",
        *(dead, *moments),
    )
    return str(lost)


def _lose_a_job_on_redis(site: RedisSite) -> str:
    job = NewJob(clock.new_id(), "work", "faults.nap", '{"kwargs":{"seconds":0}}', 0, delay=1000.0)
    site.broker.push("work", [job])
    site.told(job.id.hex)
    # as if its process had claimed it and died: by hand, since a running worker would be faster
    dead, at = uuid4().hex, int((time.time() - 301) * 1_000_000)
    with site.client() as client:
        client.hset(site.key("work", "active"), job.id.bytes, f"{dead} 0.0 {at}")
        (place,) = (one for one in client.zrange(site.key("work", "due"), 0, -1) if one.endswith(job.id.bytes))
        client.zrem(site.key("work", "due"), place)
    return job.id.hex


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(len(WORKER_POINTS), id="once", marks=pytest.mark.slow),
        pytest.param(4 * len(WORKER_POINTS), id="4-times", marks=LONG),
    ],
)
@on_each
def test_worker_killed_at_its_points_loses_no_job(site: Site, chance: random.Random, rounds: int) -> None:
    site.arm()
    console = site.console()
    site.run_huey(*QUEUES, "--concurrency", "work=3", FAULTS_RESTART_PAUSE="0.05")
    of_worker = [name for name in WORKER_POINTS if _is_passed(site, name)]
    points = [point for _ in range(1 + rounds // len(of_worker)) for point in _shuffled(of_worker, chance)]
    accepted: list[str] = []
    for point in points[:rounds]:
        site.set_trap("worker", point, times=chance.randint(1, 2))
        _work_until_sprung(site, console, point, accepted)
    check_ledger(site, accepted)
    assert site.counter() == len(accepted) // 6


def _work_until_sprung(site: Site, console: Console, point: str, accepted: list[str]) -> None:
    accepted += console.ask(BATCH)

    def is_sprung() -> bool:
        if not site.has_live_jobs():
            accepted.extend(console.ask(BATCH))
        return site.is_sprung("worker", point)

    wait_for(is_sprung, what=f"a worker passed {point}")


def _shuffled(names: list[str], chance: random.Random) -> list[str]:
    return chance.sample(names, len(names))


@pytest.mark.parametrize(
    "most", [pytest.param(4, id="4-of-them", marks=pytest.mark.slow), pytest.param(99, id="all", marks=LONG)]
)
@on_each
def test_worker_stopped_beyond_its_lease_at_its_points_and_continued_runs_no_job_twice_under_one_lease(
    make_site: MakeSite, chance: random.Random, most: int
) -> None:
    site = make_site(FAULTS_LEASE="1")
    site.arm()
    console = site.console()
    accepted: list[str] = []
    words = (*QUEUES, "--concurrency", "work=3")
    hueys = [site.run_huey(*words, FAULTS_RESTART_PAUSE="0.05") for _ in range(2)]
    points = [name for name in WORKER_POINTS if _is_passed(site, name)]
    if not (site.on_postgresql or site.on_redis):
        points = [name for name in points if name not in _HOLDING_SQLITES_LOCK]
    for point in _shuffled(points, chance)[:most]:
        huey, worker = _stop_at(point, site, console, hueys, accepted)
        # its supervisor sleeps too: nobody renews for it, and nobody kills it
        os.kill(huey.pid, signal.SIGSTOP)
        time.sleep(2.5)
        for pid in (worker, huey.pid):
            os.kill(pid, signal.SIGCONT)
        wait_until_ended(site)
    check_ledger(site, accepted)
    assert site.counter() == len(accepted) // 6


def _stop_at(point: str, site: Site, console: Console, hueys: list[Huey], accepted: list[str]) -> tuple[Huey, int]:
    """Stop a worker at a point, and find it before its supervisor, after a lease, kills it.

    Once more where that comes too late: if another of its threads has SQLite's lock, it stops this test as well.
    """
    for _ in range(5):
        killed = _killed_for_sleeping(hueys)
        site.set_trap("worker", point, "stop")
        _work_until_sprung(site, console, point, accepted)
        wait_for(lambda killed=killed: _find_stopped(hueys) or _killed_for_sleeping(hueys) > killed, what=point)
        if found := _find_stopped(hueys):
            return found
    raise AssertionError(f"no worker was found stopped at {point}")


def _killed_for_sleeping(hueys: list[Huey]) -> int:
    return sum(huey.count("stopped for one lease") for huey in hueys)


def _find_stopped(hueys: list[Huey]) -> tuple[Huey, int] | None:
    for huey in hueys:
        for pid in huey.children():
            if is_stopped(pid):
                return huey, pid
    return None


#: Whoever sleeps there stops every other writer; see the test below.
_HOLDING_SQLITES_LOCK = ("claim.before_commit", "settle.before_commit", "atomic.before_settle", "atomic.before_commit")


@pytest.mark.parametrize(
    "point",
    [
        *(pytest.param(point, marks=LONG) for point in _HOLDING_SQLITES_LOCK[:-1]),
        pytest.param(_HOLDING_SQLITES_LOCK[-1], marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("make_site", ["sqlite"], indirect=True)
def test_worker_stopped_with_sqlites_lock_holds_all_up_and_nobody_loses_a_lease_for_it(
    make_site: MakeSite, point: str
) -> None:
    site = make_site(FAULTS_LEASE="2")
    site.arm()
    console = site.console()
    huey = site.run_huey("--queue", "work", "--processes", "work=2", "--concurrency", "work=3")
    accepted = console.ask("nap.enqueue_many([6] * 3)")
    wait_for(lambda: len(site.ledger()) == 3)
    site.set_trap("worker", point, "stop")
    accepted += console.ask("[count.enqueue()]")
    wait_for(lambda: site.is_sprung("worker", point))

    # the supervisor kills the stopped one after a lease: that frees the lock
    check_ledger(site, accepted)
    assert site.counter() == 1
    assert "stopped for one lease" in huey.log


@pytest.mark.parametrize(
    "most", [pytest.param(5, id="5-of-them", marks=pytest.mark.slow), pytest.param(99, id="all", marks=LONG)]
)
@on_each
def test_keeper_killed_in_the_middle_of_each_duty_leaves_it_to_the_next(
    site: Site, chance: random.Random, most: int
) -> None:
    site.arm()
    console = site.console()
    huey = site.run_huey("--queue", "other", FAULTS_RESTART_PAUSE="0.05")
    points = [*KEEPER_POINTS, "push.before_commit", "push.after_commit", *OF_REDIS]
    points = [point for point in points if _is_passed(site, point)]
    points = _shuffled(points, chance)[:most]
    left: list[str] = []
    for point in points:
        newest = site.rows("SELECT id FROM jobs_job ORDER BY id DESC LIMIT 1")
        began = datetime.now(UTC)
        # first the trap: a keeper may begin with the work before all of it is there
        site.set_trap("keeper", point)
        blinks = console.ask("blink.enqueue_many([()] * 8)")
        wait_for(lambda blinks=blinks: len([line for line in site.ledger("end") if line.job in blinks]) == 8)
        lost, pending = _leave_work_for_the_keeper(site, console)
        left += (lost, pending)
        # a new one begins with every duty; perhaps the last one has died already and is not buried yet
        with contextlib.suppress(ProcessLookupError):
            os.kill(huey.child("keeper"), signal.SIGKILL)
        wait_for(lambda point=point: site.is_sprung("keeper", point), what=f"the keeper passed {point}")

        wait_for(
            lambda lost=lost, pending=pending: _is_kept(site, lost, pending), what=f"all duties done after {point}"
        )
        boundaries = int(datetime.now(UTC).minute != began.minute)
        ticks = site.rows(
            "SELECT count(*) FROM jobs_job WHERE task = 'faults.every_minute' AND id > ?",
            newest[0][0] if newest else "00" * 16,
        )
        assert 1 <= ticks[0][0] <= 1 + boundaries, point
    assert site.rows("SELECT count(*) FROM jobs_attempt WHERE outcome = 'lost'") == [(len(points),)]
    assert site.rows("SELECT sum(jobs) FROM jobs_taskstat WHERE outcome = 'lost'") == [(len(points),)]
    completed = len(site.ledger("end"))
    wait_for(
        lambda: (
            site.rows("SELECT sum(jobs) FROM jobs_taskstat WHERE outcome = 'completed' AND queue = 'other'")
            == [(completed,)]
        )
    )
    site.cancel(*left)
    check_ledger(site, left)


def _is_kept(site: Site, lost: str, pending: str) -> bool:
    """Whether every duty has done what was left for it."""
    relayed = site.rows("SELECT count(*) FROM jobs_job WHERE id = ? AND state = 'queued'", pending) == [(1,)]
    if isinstance(site, RedisSite):
        relayed = relayed and pending in site.live("work")
    done = relayed and (site.job(lost)["lost"], site.job(lost)["state"]) == (1, "queued")
    (age,) = site.rows("SELECT last_tick FROM jobs_schedule")[0]
    ticked = datetime.fromisoformat(age).replace(tzinfo=UTC) > datetime.now(UTC) - timedelta(minutes=2)
    # five stay, and perhaps a tick or two that came since
    pruned = site.states("other").total() <= 7
    return done and ticked and pruned


@pytest.mark.slow
@pytest.mark.parametrize("point", ["release.before_commit", "release.after_commit"])
@on_each
def test_supervisor_killed_while_it_gives_a_dead_workers_jobs_back(site: Site, point: str) -> None:
    site.arm()
    console = site.console()
    huey = site.run_huey("--queue", "work")
    accepted = console.ask("nap.enqueue_many([1.0] * 10)")
    wait_for(lambda: len(site.ledger()) == 10)
    site.set_trap("supervisor", point)
    os.kill(huey.child("work/1"), signal.SIGKILL)
    wait_for(lambda: site.is_sprung("supervisor", point))
    assert huey.process.wait(NET) == -signal.SIGKILL

    site.run_huey("--queue", "work")
    check_ledger(site, accepted)
    assert {site.job(id)["lost"] for id in accepted} == {1}


CALLS = ("nap.enqueue()", "nap.using(key='alone ' + KEY).enqueue()", "sell()", "sell(key='sold ' + KEY)")
#: How many jobs a call leaves that is killed at a point; a call that is not named passes it not at all.
LEAVES = {
    "enqueue.before_commit": {CALLS[2]: 0, CALLS[3]: 0},
    "enqueue.after_commit": {CALLS[2]: 1, CALLS[3]: 1},
    # without a key one statement commits by itself
    "push.before_commit": {CALLS[1]: 0, CALLS[3]: 1},
    "push.after_commit": {CALLS[0]: 1, CALLS[1]: 1, CALLS[3]: 1},
}
#: On Redis every call pushes, and what is in a transaction has a row before.
LEAVES_ON_REDIS = {
    "enqueue.before_commit": {CALLS[2]: 0, CALLS[3]: 0},
    "enqueue.after_commit": {CALLS[2]: 1, CALLS[3]: 1},
    "push.before_commit": {CALLS[0]: 0, CALLS[1]: 0, CALLS[2]: 1, CALLS[3]: 1},
    "push.after_commit": dict.fromkeys(CALLS, 1),
}


@pytest.mark.slow
@on_each
def test_caller_killed_while_it_enqueues_leaves_whole_jobs_or_none(site: Site) -> None:
    expected = LEAVES_ON_REDIS if site.on_redis else LEAVES
    leaves = {(point, call): number for point, calls in expected.items() for call, number in calls.items()}
    assert expected.keys() == set(ENQUEUE_POINTS)
    site.arm()
    jobs: set[str] = set()
    sales: set[str] = set()
    for point, call in itertools.product(ENQUEUE_POINTS, CALLS):
        site.set_trap("caller", point)
        code = -signal.SIGKILL if (point, call) in leaves else 0
        site.python(f"from tests.faults.app.business import *\n{call.replace('KEY', repr(point))}", code_expected=code)
        new = site.job_ids() - jobs
        sold = {id for (id,) in site.rows("SELECT job FROM faults_sale")} - sales
        assert len(new) == leaves.get((point, call), 1), (point, call)
        assert sold == (new if call.startswith("sell") else set()), (point, call)
        jobs, sales = jobs | new, sales | sold

    site.run_huey("--queue", "work")
    check_ledger(site, jobs)
    assert site.states("work") == {"completed": len(jobs)}
