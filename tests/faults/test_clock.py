"""Workers whose clock is wrong, and a machine whose clock jumps (G2, G6, G7); libfaketime lies to their processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.servers import RedisServer, cannot_be_had, need_redis_of_the_wheel

from .harness import RedisSite, Site, wait_for
from .ledger import check_ledger

MakeSite = Callable[..., Site]

HOUR = 3600
#: In seconds: shorter than what the jobs take, so that it must be renewed, and longer than a busy machine stands still.
LEASE = "5"


@pytest.fixture
def faketime() -> dict[str, str]:
    """The variables that put a process under libfaketime; the test is skipped, and under CI fails, without it."""
    found = sorted(Path("/usr").glob("lib*/**/faketime/libfaketimeMT.so.1"))
    if not found:
        cannot_be_had("no libfaketime: install the package faketime")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1"}


@pytest.mark.slow
@pytest.mark.parametrize("make_site", ["postgresql", "redis"], indirect=True)
def test_workers_an_hour_ahead_and_behind_are_never_early_lose_no_lease_and_keep_the_pace(
    make_site: MakeSite, faketime: dict[str, str]
) -> None:
    site = make_site(FAULTS_LEASE=LEASE)
    words = ("--queue", "work", "--queue", "paced")
    ahead, behind = (
        site.run_huey(*words, FAKETIME=f"{error:+d}", FAULTS_CLOCK_ERROR=str(error), **faketime)
        for error in (HOUR, -HOUR)
    )
    console = site.console()
    # more long ones, on either queue, than one worker has threads: both workers must take part
    paced = console.ask("step.enqueue_many([(0.8,)] * 20 + [()] * 30)")
    delayed = console.ask("[nap.using(delay=0.5 + i * 0.05).enqueue() for i in range(60)]")
    long = console.ask("nap.enqueue_many([5] * 12)")
    far = console.ask("nap.using(delay=1800).enqueue()")
    wait_for(lambda: site.states("paced")["completed"] == 50)
    wait_for(lambda: site.states("work")["completed"] == 72)

    started = {line.job: line.at for line in site.ledger()}
    late = [started[id] - _seconds(site.job(id)["ready_at"]) for id in delayed]
    starts = sorted(started[id] for id in paced)
    windows = [later - earlier for earlier, later in zip(starts, starts[10:], strict=False)]
    pids = {pid for huey in (ahead, behind) for post in ("work/1", "paced/1") for pid in huey.started(post)}
    print(f"late {min(late) * 1000:.0f} to {max(late) * 1000:.0f} ms; 11 starts in {min(windows):.3f} s or more")
    assert {line.pid for line in site.ledger()} == pids
    assert min(late) >= 0
    assert max(late) < 20  # a wrong clock would cost an hour; a busy machine costs a second or two
    assert min(windows) >= 1.0
    assert site.job(far)["state"] == "queued"
    assert site.rows("SELECT sum(lost) FROM jobs_job") == [(0,)]
    assert "lost" not in ahead.log + behind.log
    # the history is in the server's time
    ended = [_seconds(at) for (at,) in site.rows("SELECT ended_at FROM jobs_attempt")]
    assert abs(max(ended) - time.time()) < 60
    console.ask(f"__import__('jobs').JobHandle(__import__('uuid').UUID('{far}')).cancel()")
    check_ledger(site, [*paced, *delayed, *long, far])


@pytest.mark.slow
@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["ahead", "back"])
@pytest.mark.parametrize("make_site", ["sqlite"], indirect=True)
def test_machine_clock_that_jumps_costs_no_lease_and_keeps_no_job_waiting(
    make_site: MakeSite, faketime: dict[str, str], jump: int
) -> None:
    site = make_site(FAULTS_LEASE=LEASE)
    # as on a real machine, all processes jump at the same moment
    _work_while_the_clock_jumps(site, {**faketime, **_clock_of(site.folder)}, jump)


@pytest.mark.slow
@pytest.mark.parametrize(
    "jump", [pytest.param(HOUR, id="ahead"), pytest.param(-HOUR, id="back", marks=pytest.mark.long)]
)
def test_clock_of_redis_that_jumps_costs_no_lease_and_keeps_no_job_waiting(
    migrated: Path, tmp_path: Path, faketime: dict[str, str], jump: int
) -> None:
    # Debian's, with its own memory allocator, does not stand libfaketime
    server = RedisServer.create(need_redis_of_the_wheel())
    server.environment = {**faketime, **_clock_of(tmp_path)}
    server.start()
    site = RedisSite(tmp_path, migrated, server, FAULTS_LEASE=LEASE)
    try:
        _work_while_the_clock_jumps(site, {}, jump)
    finally:
        site.close()
        server.remove()


def _clock_of(folder: Path) -> dict[str, str]:
    """The variables of a process whose clock is wrong by what a file says, at any moment."""
    (folder / "clock").write_text("+0\n")
    return {"FAKETIME_TIMESTAMP_FILE": str(folder / "clock"), "FAKETIME_NO_CACHE": "1"}


def _work_while_the_clock_jumps(site: Site, fake: dict[str, str], jump: int) -> None:
    site.run_huey("--queue", "work", "--queue", "paced", **fake)
    console = site.console(**fake)
    accepted = console.ask("nap.enqueue_many([6] * 5) + step.enqueue_many([()] * 10)")
    wait_for(lambda: len(site.ledger()) == 15)
    written = site.folder / "clock.new"
    written.write_text(f"{jump:+d}\n")
    written.rename(site.folder / "clock")
    wait_for(lambda: abs(console.ask("clock_of_the_broker()") - time.time() - jump) < 60)
    began = time.monotonic()

    soon = console.ask("nap.enqueue_many([0.01] * 20) + step.enqueue_many([()] * 10)")
    wait_for(lambda: {line.job for line in site.ledger("end")} >= set(soon), what="new jobs run soon, not in an hour")
    print(f"new jobs done {time.monotonic() - began:.2f} s after the jump")
    check_ledger(site, [*accepted, *soon])
    assert site.rows("SELECT sum(lost) FROM jobs_job") == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("make_site", ["sqlite"], indirect=True)
def test_after_a_clock_that_was_400_days_ahead_is_right_everything_runs_within_a_minute(
    make_site: MakeSite, faketime: dict[str, str]
) -> None:
    site = make_site()
    ahead = {**faketime, "FAKETIME": f"+{400 * 24 * HOUR}", "FAULTS_CLOCK_ERROR": str(400 * 24 * HOUR)}
    wrong = site.run_huey("--queue", "other", **ahead)
    wait_for(lambda: site.rows("SELECT last_tick FROM jobs_schedule"))
    wrong.stop()
    waiting = site.enqueue("nap.enqueue_many([()] * 5)", **ahead)
    delayed = site.enqueue("nap.using(delay=15).enqueue()", **ahead)
    told = site.manage("jobs", "status", "--check").stdout
    assert "6 jobs were accepted at a moment that is yet to come" in told

    began = time.time()
    site.run_huey("--queue", "work", "--queue", "other")
    wait_for(lambda: {line.job for line in site.ledger()} >= {*waiting, delayed})
    assert next(line.at for line in site.ledger() if line.job == delayed) >= began + 15
    print(f"all done {time.time() - began:.1f} s after the clock was right, the delayed job included")
    wait_for(lambda: any(line.queue == "other" for line in site.ledger()), what="the schedule ticks at the next minute")
    told = site.manage("jobs", "status").stdout
    assert "The clock was ahead by 400 days" in told or "The clock was ahead by 399 days" in told
    assert "jobs were due in the future, and are set right" in told
    check_ledger(site, [*waiting, delayed])


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
